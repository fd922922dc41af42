// Host and device functions: what nvcc compiles for a GPU and every other compiler for the processor, from one source.
//
// Such a header is C++17, since some CMake knows no later C++ of nvcc's, and calls of the standard library no more than
// CUDA has too. The host is compiled with -ffp-contract=off and the device with -fmad=false: then +, -, *, / and square
// roots of FP64 give the same bits on both.
#pragma once

#ifdef __CUDACC__
#define EXATRKX_BOTH __host__ __device__
#else
#define EXATRKX_BOTH
#endif

namespace exatrkx::stages {

template <class Number>
EXATRKX_BOTH constexpr Number smaller(Number a, Number b) {
  return b < a ? b : a;
}
template <class Number>
EXATRKX_BOTH constexpr Number larger(Number a, Number b) {
  return a < b ? b : a;
}
// What is no number becomes `low`.
template <class Number>
EXATRKX_BOTH constexpr Number limited(Number v, Number low, Number high) {
  return v > low ? smaller(v, high) : low;
}

// The first place from `begin` on for which `below` is not true, `end` if there is none: it is so of all that follow.
template <class Below>
EXATRKX_BOTH int partition_point(int begin, int end, Below&& below) {
  while (begin < end) {
    const int middle = begin + (end - begin) / 2;
    if (below(middle)) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

}  // namespace exatrkx::stages
