// Hits that may fit a segment, found in steps along its helix: in columns of the transverse plane, in the order of z.
#pragma once

#include <cmath>
#include <cstdint>

#include "both.hpp"
#include "hit_columns.hpp"
#include "hit_places.hpp"
#include "segments.hpp"

namespace exatrkx::stages {

// A lane of several that share a segment: threads of a GPU.
struct Lane {
  int number = 0, lanes = 1;
};

class SegmentSearch {
 public:
  EXATRKX_BOTH SegmentSearch(const Segments& segments, const HitColumns& columns, const HitPlaces& places)
      : segments_(segments), columns_(columns), places_(places) {}

  [[nodiscard]] EXATRKX_BOTH const Segments& segments() const { return segments_; }

  // Calls visit_hit(hit) for at least the hits that fit a segment: it is looked through in steps, longer ones further
  // away, of which each lane takes every so many-th.
  template <class Visit>
  EXATRKX_BOTH void visit(const Segment& s, const Lane& lane, Visit&& visit_hit) const {
    const Growth growth(s.helix, segments_.cuts());
    const double length = s.end - s.begin;
    int turn = 0;
    for (double near = 0.0, far = 0.0; near < length; near = far) {
      far = smaller(length, near + limited(near, kFirstStep, columns_.width));
      const bool taken = turn == lane.number;
      if (++turn == lane.lanes) turn = 0;
      if (!taken) continue;
      if (s.before < 0) {
        visit_step(s, growth, {s.end - far, s.end - near, near, far}, visit_hit);
      } else {
        const double distance = s.after < 0 ? far : smaller(far, length / 2.0);
        visit_step(s, growth, {s.begin + near, s.begin + far, s.after < 0 ? near : 0.0, distance}, visit_hit);
      }
    }
  }

 private:
  // The variances of LocalHelix::spread, but for rounding, and those of strips apart: here each step needs a few of them.
  class Growth {
   public:
    EXATRKX_BOTH Growth(const LocalHelix& h, const CompletionCuts& cuts)
        : hit_(cuts.hit_resolution), strip_(cuts.strip_resolution * 1e-6), steps_(1.0 / h.chord()),
          scattered_(cuts.scattering_length * 2.0 * std::abs(h.bend())),
          turned_(LocalHelix::kStripTilt * std::abs(h.cotangent()) / h.stretch()) {}

    [[nodiscard]] EXATRKX_BOTH double transverse(double distance) const {
      const double q = distance * steps_, t = hit_ * (1.0 + q * (4.0 + 6.0 * q)), scattered = scattered_ * distance;
      return t * t + scattered * scattered;
    }
    [[nodiscard]] EXATRKX_BOTH double longitudinal(double distance) const {
      const double q = distance * steps_, l = LocalHelix::kPixelLength * hit_ * (1.0 + 2.0 * q);
      const double scattered = scattered_ * distance;
      return l * l + scattered * scattered;
    }
    [[nodiscard]] EXATRKX_BOTH double strip(double r) const { return strip_ * r * r; }
    [[nodiscard]] EXATRKX_BOTH double turned() const { return turned_; }

   private:
    double hit_, strip_, steps_, scattered_, turned_;
  };

  struct Step {
    double low, high;   // places along the helix
    double near, far;   // the least and the largest distance from a node
  };

  template <class Visit>
  EXATRKX_BOTH void visit_step(const Segment& s, const Growth& growth, const Step& step, Visit&& visit_hit) const {
    const LocalHelix& h = s.helix;
    const CompletionCuts& cuts = segments_.cuts();
    const double from = h.slope(step.low), to = h.slope(step.high);
    if (smaller(from, to) > Segments::kSteepest || larger(from, to) < -Segments::kSteepest) return;
    const double least = growth.transverse(step.near), largest = Segments::kWidest * Segments::kWidest;
    if (least > largest * (1.0 + 1e-6)) return;
    const double middle = (step.low + step.high) / 2.0, half = (step.high - step.low) / 2.0;
    const Point centre = h.at(middle, h.across(middle));
    const double margin = 1e-6 + 1e-9 * (std::abs(centre.x) + std::abs(centre.y) + std::abs(centre.z));
    // A hit is within its slope's tilt of the parabola, and that within the slopes on the way of its value in the middle.
    const double slopes = larger(std::abs(from), std::abs(to)), steep = smaller(Segments::kSteepest, slopes);
    const double tilt = 1.0 + steep * steep / 2.0;  // at least sqrt(1 + steep²)
    const double r = std::sqrt(centre.x * centre.x + centre.y * centre.y), way = half * (1.0 + slopes);
    const double strip = growth.strip(larger(r + way + cuts.sigmas * Segments::kWidest * tilt, s.farthest));
    const double turned = growth.turned() * strip;
    const double sideways = std::sqrt(smaller(growth.transverse(step.far) + turned * turned, largest)) * tilt;
    const double upwards = std::sqrt(growth.longitudinal(step.far) + strip * strip) * h.stretch();
    const double za = h.z(step.low), zb = h.z(step.high), bottom = smaller(za, zb), top = larger(za, zb);
    const double most = cuts.sigmas * (1.0 + 1e-6), radius = way + most * sideways + margin, up = most * upwards + margin;
    if (!places_.any(r - radius, r + radius, bottom - up, top + up)) return;
    const double wide = most_sigmas(r + radius, least * growth.longitudinal(step.near));
    if (wide < 0.0) return;
    visit_box(h, {centre, half, slopes, wide * sideways + margin, wide * upwards + margin, bottom, top}, visit_hit);
  }

  // How many standard deviations a hit may be off where no hit would be there by chance, of those at most this far from
  // the beam and with at least this product of variances; negative for none, and with room for what is rounded.
  [[nodiscard]] EXATRKX_BOTH double most_sigmas(double farthest, double variances) const {
    const CompletionCuts& cuts = segments_.cuts();
    const double most = cuts.max_chance * (1.0 + 1e-6) * farthest * farthest, all = 1.0 + cuts.sigmas * cuts.sigmas;
    double sigmas = cuts.sigmas;
    if (most * most < segments_.free() * segments_.free() * variances * all * all) {
      const double chi2 = most / (segments_.free() * std::sqrt(variances)) - 1.0;
      if (chi2 < 0.0) return -1.0;
      sigmas = smaller(sigmas, std::sqrt(chi2));
    }
    return sigmas * (1.0 + 1e-6) + 1e-6;
  }

  struct Box {
    Point centre;         // on the helix
    double half, slopes;  // along the chord; and the largest slope there
    double aside, up;     // how far a hit may be off
    double bottom, top;   // of the helix
  };

  template <class Visit>
  EXATRKX_BOTH void visit_box(const LocalHelix& h, const Box& box, Visit&& visit_hit) const {
    const double across = box.aside + box.half * box.slopes;
    const double x = box.half * std::abs(h.ux()) + across * std::abs(h.uy());
    const double y = box.half * std::abs(h.uy()) + across * std::abs(h.ux());
    columns_.within({box.centre.x - x, box.centre.y - y, box.bottom - box.up},
                    {box.centre.x + x, box.centre.y + y, box.top + box.up}, [&](std::int32_t hit, const Point& p) {
                      const double along = h.along(p);
                      if (std::abs(h.sideways(p) - h.across(along)) > box.aside) return;
                      if (std::abs(p.z - h.z(along)) > box.up) return;
                      visit_hit(hit);
                    });
  }

  static constexpr double kFirstStep = 6.0;  // mm

  Segments segments_;
  HitColumns columns_;
  HitPlaces places_;
};

}  // namespace exatrkx::stages
