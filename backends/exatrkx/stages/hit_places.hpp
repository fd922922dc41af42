// Hits of an event by their distance from the beam and their place along it: how many there are in a ring of any size.
#pragma once

#include <cmath>
#include <cstdint>

#include "both.hpp"
#include "local_helix.hpp"

namespace exatrkx::stages {

// Detectors are mostly empty: between barrel layers, and between discs, there is nothing to look for. Counts are summed
// up over rings and slices, so that any rectangle of them takes four numbers (Crow, SIGGRAPH 1984: summed-area tables).
// FindableHits makes them.
struct HitPlaces {
  double innermost, outermost;  // distances from the beam, and
  double first, last;           // places along it, of all hits
  double ring_width, slice_width;
  std::int32_t rings, slices;
  const std::int32_t* sums;  // [rings + 1, slices + 1]

  // Whether there may be hits at these distances from the beam and places along it.
  [[nodiscard]] EXATRKX_BOTH bool any(double near, double far, double low, double high) const {
    if (!(far >= innermost && near <= outermost) || high < first || low > last) return false;
    const std::int32_t a = ring(near), b = ring(far) + 1, c = slice(low), d = slice(high) + 1;
    return sums[entry(b, d)] - sums[entry(a, d)] - sums[entry(b, c)] + sums[entry(a, c)] != 0;
  }

  [[nodiscard]] EXATRKX_BOTH std::int32_t ring(double r) const { return place(r, ring_width, rings); }
  [[nodiscard]] EXATRKX_BOTH std::int32_t slice(double z) const { return place(z - first, slice_width, slices); }
  [[nodiscard]] EXATRKX_BOTH std::int32_t entry(std::int32_t of_rings, std::int32_t of_slices) const {
    return of_rings * (slices + 1) + of_slices;
  }

 private:
  [[nodiscard]] EXATRKX_BOTH static std::int32_t place(double v, double width, std::int32_t count) {
    return static_cast<std::int32_t>(limited(v / width, 0.0, count - 1.0));
  }
};

}  // namespace exatrkx::stages
