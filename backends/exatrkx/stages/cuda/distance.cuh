// Squared distances on a GPU: those of ../distance.hpp, bit for bit where they decide.
#pragma once

#include "widened.cuh"

// The squared distance that defines an edge: FP64, dimension by dimension in order, no fused multiply-add.
__device__ inline double exact_squared(const float* a, const float* b, int dims) {
  double sum = 0.0;
  for (int k = 0; k < dims; ++k) {
    const double difference = __dsub_rn(widened(a[k]), widened(b[k]));
    sum = __dadd_rn(sum, __dmul_rn(difference, difference));
  }
  return sum;
}

__device__ inline float fast_squared(const float* a, const float* b, int dims) {
  float sum = 0.0F;
  for (int k = 0; k < dims; ++k) {
    const float difference = a[k] - b[k];
    sum += difference * difference;
  }
  return sum;
}

// Whether two points are within the radius. FP32 decides where its rounding, dims + 3 units in the last place and
// what is lost to underflow, cannot matter; FP64 is slow on most GPUs.
class Within {
 public:
  __device__ Within(double radius, int dims) : squared_(__dmul_rn(radius, radius)), dims_(dims) {
    const double relative = (dims + 8) * 1.1920928955078125e-07;  // 2^-23
    const bool trusted = squared_ > 1e-28 && squared_ < 1e28;
    sure_ = trusted ? static_cast<float>(squared_ * (1.0 - relative)) : -1.0F;
    maybe_ = trusted ? static_cast<float>(squared_ * (1.0 + relative) + 1e-36) : __int_as_float(0x7f800000);  // inf
  }

  __device__ bool operator()(const float* a, const float* b) const {
    const float fast = fast_squared(a, b, dims_);
    return fast <= sure_ || (fast <= maybe_ && exact_squared(a, b, dims_) < squared_);
  }
  // Also with the exact d² at or below `furthest`.
  __device__ bool operator()(const float* a, const float* b, double furthest) const {
    if (furthest >= squared_) return (*this)(a, b);
    if (fast_squared(a, b, dims_) > maybe_) return false;
    const double exact = exact_squared(a, b, dims_);
    return exact < squared_ && exact <= furthest;
  }

 private:
  double squared_;
  int dims_;
  float sure_, maybe_;
};
