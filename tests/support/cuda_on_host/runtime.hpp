// As much of CUDA as the kernels use, on host threads: so that what they compute can be tested without a GPU.
// Threads of a block are threads of the host and run at the same time; blocks run one after the other.
#pragma once

#include <atomic>
#include <barrier>
#include <cmath>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#define __global__
#define __device__
#define __shared__ static
#define __launch_bounds__(threads)

struct alignas(16) float4 {
  float x, y, z, w;
};

struct Index {
  unsigned x;
};
inline thread_local Index threadIdx, blockIdx;
inline Index blockDim, gridDim;
inline std::barrier<>* block_barrier = nullptr;

inline void __syncthreads() { block_barrier->arrive_and_wait(); }

inline int __syncthreads_and(int predicate) {
  static std::atomic<bool> all = true;
  if (predicate == 0) all = false;
  __syncthreads();
  const bool found = all;
  __syncthreads();
  if (threadIdx.x == 0) all = true;
  __syncthreads();
  return found;
}

inline double __dadd_rn(double a, double b) { return a + b; }
inline double __dsub_rn(double a, double b) { return a - b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }

template <class To, class From>
To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}
inline int __float_as_int(float value) { return same_bits<int>(value); }
inline float __int_as_float(int bits) { return same_bits<float>(bits); }
inline long long __double_as_longlong(double value) { return same_bits<long long>(value); }
inline double __longlong_as_double(long long bits) { return same_bits<double>(bits); }

template <class Number>
Number atomicAdd(Number* at, Number value) {
  return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);
}
inline double atomicAdd(double* at, double value) { return std::atomic_ref(*at).fetch_add(value); }
inline void atomicMax(unsigned long long* at, unsigned long long value) {
  std::atomic_ref shared(*at);
  for (unsigned long long seen = shared; seen < value && !shared.compare_exchange_weak(seen, value);) {
  }
}
inline int atomicCAS(int* at, int expected, int value) {
  __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
  return expected;
}

using std::floor;
using std::fmax;
using std::fmin;

// `arguments` points to the value of each argument, as for cudaLaunchKernel.
template <class... Arguments>
void launch(void (*kernel)(Arguments...), unsigned blocks, unsigned threads, void** arguments) {
  std::barrier barrier(threads);
  block_barrier = &barrier;
  blockDim = {threads};
  gridDim = {blocks};
  std::vector<std::jthread> running;
  for (unsigned thread = 0; thread < threads; ++thread) {
    running.emplace_back([=, &barrier] {
      threadIdx = {thread};
      for (unsigned block = 0; block < blocks; ++block) {
        blockIdx = {block};
        [&]<std::size_t... i>(std::index_sequence<i...>) {
          kernel(*static_cast<Arguments*>(arguments[i])...);
        }(std::index_sequence_for<Arguments...>{});
        barrier.arrive_and_wait();  // shared memory is the next block's from here on
      }
    });
  }
}

#define LAUNCHER(kernel)                                                                            \
  extern "C" void launch_##kernel(unsigned blocks, unsigned threads, void** arguments) {            \
    launch(kernel, blocks, threads, arguments);                                                     \
  }
