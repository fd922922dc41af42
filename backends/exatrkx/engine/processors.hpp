// Usable processors of this process: its CPU affinity, bounded by its container's quota.
#pragma once

#include <optional>

namespace exatrkx {

// At least 1. `cpu_max`: the quota and period of the cgroup (version 2), as in exatrkx_server/resources.py.
[[nodiscard]] int usable_processors(const char* cpu_max = "/sys/fs/cgroup/cpu.max");

// The positive number in an environment variable, up to a comma: OMP_NUM_THREADS may have one number for each level of
// nested parallel regions, the first for the outermost.
[[nodiscard]] std::optional<int> positive_number(const char* variable);

// `OMP_NUM_THREADS` where it is set to a number, else the usable processors.
[[nodiscard]] inline int default_threads() { return positive_number("OMP_NUM_THREADS").value_or(usable_processors()); }

}  // namespace exatrkx
