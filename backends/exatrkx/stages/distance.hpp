// Squared distances: the exact FP64 one that decides, and the rounding error of a fast FP32 one.
#pragma once

#include <limits>

#ifdef __FAST_MATH__
#error "distances must be rounded as written: compile without -ffast-math, and with -ffp-contract=off"
#endif

namespace exatrkx::stages {

// The squared distance that defines an edge: FP64, dimension by dimension in order, no fused multiply-add.
[[nodiscard]] inline double exact_squared(const float* a, const float* b, int dims) noexcept {
  double sum = 0.0;
  for (int k = 0; k < dims; ++k) {
    const double difference = static_cast<double>(a[k]) - static_cast<double>(b[k]);
    sum += difference * difference;
  }
  return sum;
}

// How far FP32 can be trusted about d² against a limit: at or below `sure` it is below the limit, above `maybe` it is
// not, and in between the exact distance decides.
struct Limits {
  float sure;
  float maybe;
};

// FP32 rounds each difference, square and sum once, so d² is right to dims + 3 units in the last place; what is lost
// to underflow is far below kTiny. A limit near the ends of FP32's range leaves everything to the exact distance.
class Rounding {
 public:
  explicit Rounding(int dims) noexcept : relative_((dims + 8) * 0x1p-23) {}

  [[nodiscard]] static bool trusted(double limit) noexcept { return limit > 1e-28 && limit < 1e28; }

  [[nodiscard]] Limits around(double limit) const noexcept {
    if (!trusted(limit)) return {-1.0F, std::numeric_limits<float>::infinity()};
    return {static_cast<float>(limit * (1.0 - relative_)), above(limit)};
  }
  // What FP32 makes of any d² at or below `limit` is at or below this.
  [[nodiscard]] float above(double limit) const noexcept {
    return static_cast<float>(limit * (1.0 + relative_) + kTiny);
  }
  // A d² of which FP32 made less than this is below any of which it made `squared` or more.
  [[nodiscard]] float below(float squared) const noexcept {
    return static_cast<float>(squared * (1.0 - 4.0 * relative_) - 4.0 * kTiny);
  }
  // Any d² of which FP32 made `squared` is at or below this.
  [[nodiscard]] double exact_above(float squared) const noexcept { return squared * (1.0 + relative_) + kTiny; }

 private:
  static constexpr double kTiny = 1e-36;
  double relative_;
};

}  // namespace exatrkx::stages
