// Rank sort of a row of the edge index: some tens of different numbers, again and again.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "processor.hpp"

namespace exatrkx::stages {

// Counting, for each entry, the smaller ones is quadratic, and yet the fastest for as few as most rows have: it takes
// wide instructions, eight entries at a time, and no branch that cannot be predicted. `entries` has room for a
// multiple of eight; what is beyond `count` is ranked last and written nowhere.
EXATRKX_STAGES_INLINE void rank_sort(std::int32_t* entries, int count, std::int64_t* sorted) {
  constexpr int kAtOnce = 8;
  for (int beyond = count; beyond % kAtOnce != 0; ++beyond) entries[beyond] = std::numeric_limits<std::int32_t>::max();
  for (int first = 0; first < count; first += kAtOnce) {
    std::int32_t rank[kAtOnce] = {};
    for (int j = 0; j < count; ++j) {
      for (int lane = 0; lane < kAtOnce; ++lane) rank[lane] += entries[j] < entries[first + lane];
    }
    for (int lane = 0; lane < std::min(kAtOnce, count - first); ++lane) sorted[rank[lane]] = entries[first + lane];
  }
}

inline void rank_sort_portable(std::int32_t* entries, int count, std::int64_t* sorted) {
  rank_sort(entries, count, sorted);
}
#ifdef EXATRKX_STAGES_AVX2
EXATRKX_STAGES_WIDE inline void rank_sort_avx2(std::int32_t* entries, int count, std::int64_t* sorted) {
  rank_sort(entries, count, sorted);
}
#endif

// Writes the entries, all different, in ascending order; they are scratch afterwards.
inline void write_sorted(std::vector<std::int32_t>& entries, std::int64_t* sorted) {
  constexpr std::size_t kFew = 192, kAtOnce = 8;
  if (entries.size() > kFew) {
    std::sort(entries.begin(), entries.end());
    std::copy(entries.begin(), entries.end(), sorted);
    return;
  }
  const int count = static_cast<int>(entries.size());
  entries.resize(entries.size() + kAtOnce - 1);
#ifdef EXATRKX_STAGES_AVX2
  if (has_avx2()) return rank_sort_avx2(entries.data(), count, sorted);
#endif
  rank_sort_portable(entries.data(), count, sorted);
}

}  // namespace exatrkx::stages
