// Sorting a row of the edge index: some tens of different numbers, again and again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "processor.hpp"

namespace exatrkx::stages {

// Counting, for each entry, the smaller ones is quadratic, and yet the fastest for as few as most rows have: it takes
// wide instructions, and no branch that cannot be predicted.
__attribute__((always_inline)) inline void rank_sort(std::span<const std::int32_t> row, std::int64_t* sorted) {
  const std::int32_t* entries = row.data();
  const auto count = static_cast<std::int32_t>(row.size());
  for (std::int32_t i = 0; i < count; ++i) {
    const std::int32_t entry = entries[i];
    std::int32_t smaller = 0;
    for (std::int32_t j = 0; j < count; ++j) smaller += entries[j] < entry;
    sorted[smaller] = entry;
  }
}

inline void rank_sort_portable(std::span<const std::int32_t> row, std::int64_t* sorted) { rank_sort(row, sorted); }
#ifdef EXATRKX_STAGES_AVX2
__attribute__((target("avx2"))) inline void rank_sort_avx2(std::span<const std::int32_t> row, std::int64_t* sorted) {
  rank_sort(row, sorted);
}
#endif

// Writes the entries of `row`, all different, in ascending order; the row is scratch afterwards.
inline void write_sorted(std::span<std::int32_t> row, std::int64_t* sorted) {
  constexpr std::size_t kFew = 192;
  if (row.size() > kFew) {
    std::sort(row.begin(), row.end());
    std::copy(row.begin(), row.end(), sorted);
    return;
  }
#ifdef EXATRKX_STAGES_AVX2
  if (has_avx2()) return rank_sort_avx2(row, sorted);
#endif
  rank_sort_portable(row, sorted);
}

}  // namespace exatrkx::stages
