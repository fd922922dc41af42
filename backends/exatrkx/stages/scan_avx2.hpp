// SIMD scans for processors with AVX2, eight numbers at a time.
#pragma once

#include "scan_layout.hpp"

#ifdef EXATRKX_STAGES_AVX2
#include <immintrin.h>

#include <bit>
#include <cstdint>

namespace exatrkx::stages {

// For each mask of eight lanes, the lanes whose bit is set, packed to the front.
struct PackedLanes {
  constexpr PackedLanes() {
    for (int mask = 0; mask < 256; ++mask) {
      for (int lane = 0, next = 0; lane < 8; ++lane) {
        if (((mask >> lane) & 1) != 0) lanes[mask][next++] = static_cast<std::uint8_t>(lane);
      }
    }
  }
  std::uint8_t lanes[256][8] = {};
};
inline constexpr PackedLanes kPackedLanes;

// Which lanes are hits cannot be predicted: so all eight are written, the hits first, and only those are counted.
EXATRKX_STAGES_WIDE inline void add_hits_avx2(__m256 squared, __m256 limit, std::int32_t first, Hits& hits) {
  const auto mask = static_cast<unsigned>(_mm256_movemask_ps(_mm256_cmp_ps(squared, limit, _CMP_LE_OQ)));
  const auto* packed = reinterpret_cast<const __m128i*>(kPackedLanes.lanes[mask]);
  const __m256i lanes = _mm256_cvtepu8_epi32(_mm_loadl_epi64(packed));
  const __m256i items = _mm256_add_epi32(lanes, _mm256_set1_epi32(first));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(hits.item + hits.count), items);
  _mm256_storeu_ps(hits.squared + hits.count, _mm256_permutevar8x32_ps(squared, lanes));
  hits.count += std::popcount(mask);
}

EXATRKX_STAGES_WIDE inline void scan_points_avx2(const float* storage, int dims,
                                                                 const std::int32_t* blocks, std::int64_t count,
                                                                 const float* query, float limit, Hits& hits) {
  constexpr int kVectors = kBlock / 8;
  const __m256 bound = _mm256_set1_ps(limit);
  for (std::int64_t b = 0; b < count; ++b) {
    const float* block = storage + std::int64_t{blocks[b]} * kBlock * dims;
    __m256 squared[kVectors];
    for (auto& vector : squared) vector = _mm256_setzero_ps();
    for (int k = 0; k < dims; ++k) {
      const __m256 coordinate = _mm256_broadcast_ss(query + k);
      for (int v = 0; v < kVectors; ++v) {
        const __m256 difference = _mm256_sub_ps(_mm256_loadu_ps(block + k * kBlock + v * 8), coordinate);
        squared[v] = _mm256_fmadd_ps(difference, difference, squared[v]);
      }
    }
    for (int v = 0; v < kVectors; ++v) add_hits_avx2(squared[v], bound, blocks[b] * kBlock + v * 8, hits);
  }
}

EXATRKX_STAGES_WIDE inline void scan_boxes_avx2(const float* storage, int dims, std::int64_t groups,
                                                                const float* query, float limit, Hits& hits) {
  static_assert(kGroup == 8);
  const __m256 bound = _mm256_set1_ps(limit);
  for (std::int64_t g = 0; g < groups; ++g) {
    __m256 squared = _mm256_setzero_ps();
    for (int k = 0; k < dims; ++k) {
      const float* edges = storage + (g * dims + k) * 2 * kGroup;
      const __m256 coordinate = _mm256_broadcast_ss(query + k);
      const __m256 below = _mm256_sub_ps(_mm256_loadu_ps(edges), coordinate);
      const __m256 above = _mm256_sub_ps(coordinate, _mm256_loadu_ps(edges + kGroup));
      const __m256 gap = _mm256_max_ps(_mm256_setzero_ps(), _mm256_max_ps(below, above));
      squared = _mm256_fmadd_ps(gap, gap, squared);
    }
    add_hits_avx2(squared, bound, static_cast<std::int32_t>(g) * kGroup, hits);
  }
}

EXATRKX_STAGES_WIDE inline float sum_of_lanes(__m256 vector) {
  __m128 four = _mm_add_ps(_mm256_castps256_ps128(vector), _mm256_extractf128_ps(vector, 1));
  four = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(four, _mm_movehdup_ps(four)));
}

EXATRKX_STAGES_WIDE inline void scan_tree_avx2(const float* boxes, const std::int32_t* leaves, std::int64_t nodes,
                                               int dims, const float* box, float limit, Hits& hits) {
  const int width = padded(dims);
  walk_tree(boxes, leaves, nodes, dims, limit, hits, [&](const float* other) EXATRKX_STAGES_WIDE {
    __m256 sums = _mm256_setzero_ps();
    for (int k = 0; k < width; k += kLanes) {
      const __m256 below = _mm256_sub_ps(_mm256_loadu_ps(box + k), _mm256_loadu_ps(other + width + k));
      const __m256 above = _mm256_sub_ps(_mm256_loadu_ps(other + k), _mm256_loadu_ps(box + width + k));
      const __m256 gap = _mm256_max_ps(_mm256_setzero_ps(), _mm256_max_ps(below, above));
      sums = _mm256_fmadd_ps(gap, gap, sums);
    }
    return sum_of_lanes(sums);
  });
}

}  // namespace exatrkx::stages
#endif
