// Hits of an event by place: square columns of the transverse plane, each in the order of z.
#pragma once

#include <cstdint>

#include "both.hpp"
#include "local_helix.hpp"

namespace exatrkx::stages {

// The hits that may be found; FindableHits makes them.
struct HitColumns {
  struct Entry {
    Point point;
    std::int32_t hit;
  };

  double low, high, width;    // of x and of y of all hits, and of a column
  std::int32_t columns;       // along x, and along y
  const std::int32_t* begin;  // [columns² + 1]
  const Entry* entries;

  // Calls visit(hit, point) for at least the hits within the box.
  template <class Visit>
  EXATRKX_BOTH void within(const Point& least, const Point& most, Visit&& visit) const {
    if (most.x < low || least.x > high || most.y < low || least.y > high) return;
    for (std::int32_t i = column(least.x); i <= column(most.x); ++i) {
      for (std::int32_t j = column(least.y); j <= column(most.y); ++j) {
        const std::int32_t end = begin[i * columns + j + 1];
        const auto is_below = [&](std::int32_t entry) { return entries[entry].point.z < least.z; };
        for (std::int32_t e = partition_point(begin[i * columns + j], end, is_below); e < end; ++e) {
          if (!(entries[e].point.z <= most.z)) break;
          visit(entries[e].hit, entries[e].point);
        }
      }
    }
  }

  [[nodiscard]] EXATRKX_BOTH std::int32_t column(double v) const {
    return static_cast<std::int32_t>(limited((v - low) / width, 0.0, columns - 1.0));
  }
};

}  // namespace exatrkx::stages
