// Hits of an event by their distance from the beam and their place along it: how many there are in a ring of any size.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "local_helix.hpp"

namespace exatrkx::stages {

// Detectors are mostly empty: between barrel layers, and between discs, there is nothing to look for. Counts are summed
// up over rings and slices, so that any rectangle of them takes four numbers (Crow, SIGGRAPH 1984: summed-area tables).
class HitPlaces {
 public:
  HitPlaces(const std::vector<Point>& points, const std::vector<std::int32_t>& hits) {
    if (hits.empty()) return;
    for (const std::int32_t hit : hits) {
      const double r = distance(points[hit]), z = points[hit].z;
      innermost_ = std::min(innermost_, r * (1.0 - 1e-9)), outermost_ = std::max(outermost_, r * (1.0 + 1e-9));
      first_ = std::min(first_, z), last_ = std::max(last_, z);
    }
    rings_ = number(outermost_, kRing), slices_ = number(last_ - first_, kSlice);
    ring_ = std::max(kRing, outermost_ / rings_), slice_ = std::max(kSlice, (last_ - first_) / slices_);
    sums_.assign(static_cast<std::size_t>(rings_ + 1) * (slices_ + 1), 0);
    for (const std::int32_t hit : hits) ++sums_[entry(ring(distance(points[hit])) + 1, slice(points[hit].z) + 1)];
    for (std::int32_t i = 1; i <= rings_; ++i) {
      std::int32_t row = 0;
      for (std::int32_t j = 1; j <= slices_; ++j) {
        row += sums_[entry(i, j)];
        sums_[entry(i, j)] = row + sums_[entry(i - 1, j)];
      }
    }
  }

  // Whether there may be hits at these distances from the beam and places along it.
  [[nodiscard]] bool any(double near, double far, double low, double high) const {
    if (!(far >= innermost_ && near <= outermost_) || high < first_ || low > last_) return false;
    const std::int32_t a = ring(near), b = ring(far) + 1, c = slice(low), d = slice(high) + 1;
    return sums_[entry(b, d)] - sums_[entry(a, d)] - sums_[entry(b, c)] + sums_[entry(a, c)] != 0;
  }

 private:
  static constexpr double kRing = 8.0, kSlice = 16.0, kMost = 512.0;  // mm; and how many, which bounds the memory

  [[nodiscard]] static double distance(const Point& p) { return std::sqrt(p.x * p.x + p.y * p.y); }
  [[nodiscard]] static std::int32_t number(double length, double width) {
    return static_cast<std::int32_t>(std::min(length / width, kMost - 1.0)) + 1;
  }
  [[nodiscard]] static std::int32_t place(double v, double width, std::int32_t count) {
    return static_cast<std::int32_t>(std::clamp(v / width, 0.0, count - 1.0));
  }
  [[nodiscard]] std::int32_t ring(double r) const { return place(r, ring_, rings_); }
  [[nodiscard]] std::int32_t slice(double z) const { return place(z - first_, slice_, slices_); }
  [[nodiscard]] std::size_t entry(std::int32_t rings, std::int32_t slices) const {
    return static_cast<std::size_t>(rings) * (slices_ + 1) + slices;
  }

  double innermost_ = std::numeric_limits<double>::max(), outermost_ = 0.0;
  double first_ = std::numeric_limits<double>::max(), last_ = std::numeric_limits<double>::lowest();
  double ring_ = kRing, slice_ = kSlice;
  std::int32_t rings_ = 0, slices_ = 0;
  std::vector<std::int32_t> sums_;
};

}  // namespace exatrkx::stages
