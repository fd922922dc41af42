// CPU dispatch: whether this processor has AVX2 is asked when the program runs, so that one binary serves all.
#pragma once

// Compiled into each function that calls it, for that function's processors.
#if defined(__GNUC__)
#define EXATRKX_STAGES_INLINE __attribute__((always_inline)) inline
#else
#define EXATRKX_STAGES_INLINE inline
#endif

#if defined(__x86_64__) && defined(__GNUC__) && !defined(EXATRKX_STAGES_PORTABLE)
#define EXATRKX_STAGES_AVX2 1
// A function compiled for the processors of which `has_avx2` is true, whatever the others are compiled for.
#define EXATRKX_STAGES_WIDE __attribute__((target("avx2,fma,popcnt")))

namespace exatrkx::stages {

[[nodiscard]] inline bool has_avx2() noexcept {
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                          __builtin_cpu_supports("popcnt");
  return has;
}

}  // namespace exatrkx::stages
#endif
