#include "process.hpp"

#include <malloc.h>
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>

namespace exatrkx {

int usable_processors(const char* cpu_max) {
  cpu_set_t affinity;
  CPU_ZERO(&affinity);
  const bool known = sched_getaffinity(0, sizeof(affinity), &affinity) == 0;
  int processors = known ? CPU_COUNT(&affinity) : static_cast<int>(std::thread::hardware_concurrency());
  std::ifstream file(cpu_max);
  double quota = 0.0, period = 0.0;  // µs; the quota is "max" where there is none
  if (file >> quota >> period && period > 0) {
    processors = static_cast<int>(std::min<double>(processors, std::ceil(quota / period)));
  }
  return std::max(processors, 1);
}

std::optional<std::int64_t> positive_number(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  std::int64_t number = 0;
  const auto result = std::from_chars(text, text + std::strlen(text), number);
  const bool whole = *result.ptr == '\0' || *result.ptr == ',';
  if (result.ec != std::errc() || !whole || number < 1) return std::nullopt;
  return number;
}

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
