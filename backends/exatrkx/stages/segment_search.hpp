// Hits that may fit a segment, found in steps along its helix: in columns of the transverse plane, in the order of z.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "hit_columns.hpp"
#include "segments.hpp"

namespace exatrkx::stages {

class SegmentSearch {
 public:
  SegmentSearch(const Segments& segments, const HitColumns& columns) : segments_(segments), columns_(columns) {}

  // Calls visit_hit(hit) for at least the hits that fit a segment: it is looked through in steps, longer ones further away.
  template <class Visit>
  void visit(const Segment& s, Visit&& visit_hit) const {
    const double length = s.end - s.begin;
    for (double near = 0.0, far = 0.0; near < length; near = far) {
      far = std::min(length, near + std::clamp(near, kFirstStep, columns_.width()));
      if (s.before < 0) {
        visit_step(s, {s.end - far, s.end - near, near, far}, visit_hit);
      } else {
        const double distance = s.after < 0 ? far : std::min(far, length / 2.0);
        visit_step(s, {s.begin + near, s.begin + far, s.after < 0 ? near : 0.0, distance}, visit_hit);
      }
    }
  }

 private:
  struct Step {
    double low, high;   // places along the helix
    double near, far;   // the least and the largest distance from a node
  };

  template <class Visit>
  void visit_step(const Segment& s, const Step& step, Visit&& visit_hit) const {
    const LocalHelix& h = s.helix;
    const CompletionCuts& cuts = segments_.cuts();
    const double middle = (step.low + step.high) / 2.0, half = (step.high - step.low) / 2.0;
    const Point centre = h.at(middle, h.across(middle));
    const double margin = 1e-6 + 1e-9 * (std::abs(centre.x) + std::abs(centre.y) + std::abs(centre.z));
    const double from = h.slope(step.low), to = h.slope(step.high);
    if (std::min(from, to) > Segments::kSteepest || std::max(from, to) < -Segments::kSteepest) return;
    // A hit is within its slope's tilt of the parabola, and that within the slopes on the way of its value in the middle.
    const double slopes = std::max(std::abs(from), std::abs(to)), steep = std::min(Segments::kSteepest, slopes);
    const double tilt = std::sqrt(1.0 + steep * steep), r = std::sqrt(centre.x * centre.x + centre.y * centre.y);
    const double widest = half * (1.0 + slopes) + cuts.sigmas * Segments::kWidest * tilt;
    const Spread least = h.spread(step.near, 0.0, cuts), most = h.spread(step.far, std::max(r + widest, s.farthest), cuts);
    if (least.transverse > Segments::kWidest * Segments::kWidest * (1.0 + 1e-6)) return;
    const double sideways = std::sqrt(std::min(most.transverse, Segments::kWidest * Segments::kWidest)) * tilt;
    // Neither inside the innermost hit, nor beyond the outermost, nor where any hit may be there by chance.
    const double radius = half * (1.0 + slopes) + cuts.sigmas * sideways + margin;
    if (!columns_.places().reaches(r - radius, r + radius)) return;
    const double largest = cuts.max_chance * (1.0 + 1e-6) * (r + radius) * (r + radius);
    const double chi2 = largest / (segments_.free() * std::sqrt(least.transverse * least.longitudinal)) - 1.0;
    if (chi2 < 0.0) return;
    const double wide = std::min(cuts.sigmas, std::sqrt(chi2)) * (1.0 + 1e-6) + 1e-6;  // with room for what is rounded
    const double aside = wide * sideways + margin, across = aside + half * slopes;
    const double up = wide * std::sqrt(most.longitudinal) * h.stretch() + margin;
    const double bx = half * std::abs(h.ux()) + across * std::abs(h.uy());
    const double by = half * std::abs(h.uy()) + across * std::abs(h.ux());
    const double za = h.z(step.low), zb = h.z(step.high);
    const double z_low = std::min(za, zb) - up, z_high = std::max(za, zb) + up;
    if (!columns_.places().any(r - radius, r + radius, z_low, z_high)) return;
    columns_.within({centre.x - bx, centre.y - by, z_low}, {centre.x + bx, centre.y + by, z_high},
                    [&](std::int32_t hit, const Point& p) {
                      const double x = h.along(p);
                      if (std::abs(h.sideways(p) - h.across(x)) > aside || std::abs(p.z - h.z(x)) > up) return;
                      visit_hit(hit);
                    });
  }

  static constexpr double kFirstStep = 6.0;  // mm

  const Segments& segments_;
  const HitColumns& columns_;
};

}  // namespace exatrkx::stages
