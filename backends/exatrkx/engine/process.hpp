// Resources of this process: the processors that it may use, and the memory that it keeps.
#pragma once

#include <cstdint>
#include <optional>

namespace exatrkx {

// Usable processors, at least 1: the CPU affinity, bounded by the quota of the container. `cpu_max`: the cgroup's
// quota and period (version 2), as in exatrkx_server/resources.py.
[[nodiscard]] int usable_processors(const char* cpu_max = "/sys/fs/cgroup/cpu.max");

// The positive number in an environment variable, up to a comma: OMP_NUM_THREADS may have one number for each level of
// nested parallel regions, the first for the outermost.
[[nodiscard]] std::optional<std::int64_t> positive_number(const char* variable);

// `OMP_NUM_THREADS` where it is set to a number, else the usable processors.
[[nodiscard]] inline int default_threads() {
  return static_cast<int>(positive_number("OMP_NUM_THREADS").value_or(usable_processors()));
}

// Tells glibc to keep freed blocks for the next event; exatrkx/arrays.py says why. False where it takes no such advice.
bool retain_freed_memory();

}  // namespace exatrkx
