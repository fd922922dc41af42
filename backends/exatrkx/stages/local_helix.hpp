// Local helix: a parabola in the transverse plane and a line in z along its arc, through a few neighbouring hits of a
// track. Only +, -, *, / and square roots, in the order of exatrkx/stages/local_helix.py, so that both give the same bits.
#pragma once

#include <cmath>

#include "both.hpp"

namespace exatrkx::stages {

struct Point {
  double x, y, z;  // mm
};

// exatrkx/working_point.py says what each number means.
struct CompletionCuts {
  double reach = 0.0;  // mm; 0: no completion
  double sigmas = 5.0;
  double hit_resolution = 0.013;
  double scattering_length = 6.0;
  double strip_resolution = 4.0;
  double max_chance = 10.0;
};

// What a helix expects at a distance from the hits that it was fitted to: standard deviations in mm.
struct Spread {
  double transverse;    // squared
  double longitudinal;  // squared
  double strip;         // of the coarse coordinate alone
};

class LocalHelix {
 public:
  static constexpr double kPixelLength = 3.0;  // of a pixel, along the beam to across
  static constexpr double kStripTilt = 0.1;    // of strips on a disc to its radius: how much of them lies across a track

  // Least squares with equal weights. False where the hits lie on a line along the beam, or on fewer than three places.
  [[nodiscard]] EXATRKX_BOTH bool fit(const Point* hits, int number) {
    const double count = number;
    origin_ = {0.0, 0.0, 0.0};
    for (int i = 0; i < number; ++i) {
      origin_.x += hits[i].x;
      origin_.y += hits[i].y;
      origin_.z += hits[i].z;
    }
    origin_.x /= count;
    origin_.y /= count;
    origin_.z /= count;
    ux_ = hits[number - 1].x - hits[0].x;
    uy_ = hits[number - 1].y - hits[0].y;
    chord_ = std::sqrt(ux_ * ux_ + uy_ * uy_);
    if (!(chord_ > kShortestChord)) return false;
    ux_ /= chord_;
    uy_ /= chord_;
    return fit_parabola(hits, number) && fit_line(hits, number);
  }

  // Positions along the chord, and across it.
  [[nodiscard]] EXATRKX_BOTH double along(const Point& p) const { return (p.x - origin_.x) * ux_ + (p.y - origin_.y) * uy_; }
  [[nodiscard]] EXATRKX_BOTH double sideways(const Point& p) const { return (p.y - origin_.y) * ux_ - (p.x - origin_.x) * uy_; }
  [[nodiscard]] EXATRKX_BOTH double slope(double x) const { return b_ + 2.0 * c_ * x; }
  [[nodiscard]] EXATRKX_BOTH double across(double x) const { return a_ + x * (b_ + c_ * x); }
  [[nodiscard]] EXATRKX_BOTH double z(double x) const { return origin_.z + z0_ + cotangent_ * arc(x); }
  [[nodiscard]] EXATRKX_BOTH double ux() const { return ux_; }
  [[nodiscard]] EXATRKX_BOTH double uy() const { return uy_; }
  [[nodiscard]] EXATRKX_BOTH double chord() const { return chord_; }
  [[nodiscard]] EXATRKX_BOTH double bend() const { return c_; }            // half the curvature
  [[nodiscard]] EXATRKX_BOTH double cotangent() const { return cotangent_; }
  [[nodiscard]] EXATRKX_BOTH double stretch() const { return stretch_; }  // length of the track for its length in the transverse plane
  [[nodiscard]] EXATRKX_BOTH Point at(double x, double y) const {
    return {origin_.x + x * ux_ - y * uy_, origin_.y + x * uy_ + y * ux_, z(x)};
  }

  // Distances of a point from the helix, in the transverse plane and perpendicular to the track beside that.
  [[nodiscard]] EXATRKX_BOTH double transverse(const Point& p, double x) const {
    const double steepness = slope(x);
    return (sideways(p) - across(x)) / std::sqrt(1.0 + steepness * steepness);
  }
  [[nodiscard]] EXATRKX_BOTH double longitudinal(const Point& p, double x) const { return (p.z - z(x)) / stretch_; }

  // At a distance along the chord from the nearest node, where hit and node are within `r` of the beam. The factors of the
  // resolution are those of a parabola and a line through equally spaced hits: within a tenth those of three hits and of five.
  [[nodiscard]] EXATRKX_BOTH Spread spread(double distance, double r, const CompletionCuts& cuts) const {
    const double q = distance / chord_, metres = r / 1000.0;
    const double angle = cuts.scattering_length * 2.0 * std::abs(c_) / stretch_;
    const double scattered = angle * distance * stretch_, strip = cuts.strip_resolution * (metres * metres);
    const double turned = kStripTilt * strip * std::abs(cotangent_) / stretch_;
    const double t = cuts.hit_resolution * (1.0 + q * (4.0 + 6.0 * q));
    const double l = kPixelLength * cuts.hit_resolution * (1.0 + 2.0 * q);
    return {t * t + scattered * scattered + turned * turned, l * l + scattered * scattered + strip * strip, strip};
  }

 private:
  static constexpr double kShortestChord = 1e-3;  // mm
  static constexpr double kSingular = 1e-9;       // of a determinant, relative to its first term

  [[nodiscard]] EXATRKX_BOTH double arc(double x) const {
    return x * (1.0 + b_ * b_ / 2.0 + x * (b_ * c_ + x * (2.0 * c_ * c_ / 3.0)));
  }

  EXATRKX_BOTH bool fit_parabola(const Point* hits, int number) {
    const double count = number;
    double x1 = 0, x2 = 0, x3 = 0, x4 = 0, y0 = 0, y1 = 0, y2 = 0;
    for (int i = 0; i < number; ++i) {
      const double dx = hits[i].x - origin_.x, dy = hits[i].y - origin_.y;
      const double x = (dx * ux_ + dy * uy_) / chord_, y = dy * ux_ - dx * uy_;
      x1 += x;
      x2 += x * x;
      x3 += x * x * x;
      x4 += x * x * x * x;
      y0 += y;
      y1 += x * y;
      y2 += x * x * y;
    }
    // Cramer's rule, with the cofactors of a symmetric matrix.
    const double c00 = x2 * x4 - x3 * x3, c01 = x2 * x3 - x1 * x4, c02 = x1 * x3 - x2 * x2;
    const double c11 = count * x4 - x2 * x2, c12 = x1 * x2 - count * x3, c22 = count * x2 - x1 * x1;
    const double determinant = count * c00 + x1 * c01 + x2 * c02;
    if (!(determinant > kSingular * count * x2 * x4)) return false;
    a_ = (c00 * y0 + c01 * y1 + c02 * y2) / determinant;
    b_ = (c01 * y0 + c11 * y1 + c12 * y2) / determinant / chord_;
    c_ = (c02 * y0 + c12 * y1 + c22 * y2) / determinant / (chord_ * chord_);
    return true;
  }

  EXATRKX_BOTH bool fit_line(const Point* hits, int number) {
    const double count = number;
    double s1 = 0, s2 = 0, z0 = 0, z1 = 0;
    for (int i = 0; i < number; ++i) {
      const double s = arc(along(hits[i])) / chord_, z = hits[i].z - origin_.z;
      s1 += s;
      s2 += s * s;
      z0 += z;
      z1 += s * z;
    }
    const double determinant = count * s2 - s1 * s1;
    if (!(determinant > kSingular * count * s2)) return false;
    z0_ = (s2 * z0 - s1 * z1) / determinant;
    cotangent_ = (count * z1 - s1 * z0) / determinant / chord_;
    stretch_ = std::sqrt(1.0 + cotangent_ * cotangent_);
    return true;
  }

  Point origin_{0.0, 0.0, 0.0};
  double ux_ = 0, uy_ = 0, chord_ = 0;  // direction and length of the chord from the first hit to the last
  double a_ = 0, b_ = 0, c_ = 0;        // y = a + b x + c x²
  double z0_ = 0, cotangent_ = 0, stretch_ = 1;
};

}  // namespace exatrkx::stages
