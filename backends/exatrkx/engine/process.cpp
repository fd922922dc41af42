#include "process.hpp"

#include <ATen/Parallel.h>
#include <malloc.h>

namespace exatrkx {

void use_threads(int threads) { at::set_num_threads(threads); }

bool retain_freed_memory() {
#ifdef __GLIBC__
  constexpr int kMiB = 1 << 20;
  return mallopt(M_MMAP_THRESHOLD, 32 * kMiB) == 1 && mallopt(M_TRIM_THRESHOLD, 512 * kMiB) == 1 &&
         mallopt(M_TOP_PAD, 64 * kMiB) == 1;
#else
  return false;
#endif
}

}  // namespace exatrkx
