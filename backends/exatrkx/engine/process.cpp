#include "process.hpp"

#include <ATen/Parallel.h>
#include <malloc.h>
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <thread>

namespace exatrkx {

int usable_processors() {
  cpu_set_t processors;
  CPU_ZERO(&processors);
  if (sched_getaffinity(0, sizeof(processors), &processors) == 0) return CPU_COUNT(&processors);
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int default_threads() {
  const char* variable = std::getenv("OMP_NUM_THREADS");
  const std::string_view asked = variable == nullptr ? "" : variable;
  int threads = 0;
  const auto result = std::from_chars(asked.data(), asked.data() + asked.size(), threads);
  // One number for each level of nested parallel regions may be given; the first is for the outermost.
  const bool whole = result.ptr == asked.data() + asked.size() || *result.ptr == ',';
  if (result.ec == std::errc() && whole && threads > 0) return threads;
  return usable_processors();
}

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
