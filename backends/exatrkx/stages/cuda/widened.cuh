// FP32 as FP64, subnormal numbers too: a plain conversion takes those for zero where CuPy has NVRTC compile it.
//
// These files are compiled by nvcc and, through CuPy, by NVRTC, which has no standard headers: so none is included.
#pragma once

__device__ inline double widened(float value) {
#ifdef __CUDA_ARCH__
  double wide;
  asm("cvt.f64.f32 %0, %1;" : "=d"(wide) : "f"(value));
  return wide;
#else
  return value;
#endif
}
