// Which wide instructions this processor has: asked when the program runs, so that one binary serves all.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(EXATRKX_STAGES_PORTABLE)
#define EXATRKX_STAGES_AVX2 1

namespace exatrkx::stages {

[[nodiscard]] inline bool has_avx2() noexcept {
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return has;
}

}  // namespace exatrkx::stages
#endif
