// Distances: exact ones that decide, and fast FP32 ones, many at a time, that leave little to decide.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <limits>
#include <numeric>

#include "processor.hpp"

#ifdef EXATRKX_STAGES_AVX2
#include <immintrin.h>
#endif

#ifdef __FAST_MATH__
#error "distances must be rounded as written: compile without -ffast-math, and with -ffp-contract=off"
#endif

namespace exatrkx::stages {

// The squared distance that defines an edge: FP64, dimension by dimension in order, no fused multiply-add.
[[nodiscard]] inline double exact_squared(const float* a, const float* b, int dims) noexcept {
  double sum = 0.0;
  for (int k = 0; k < dims; ++k) {
    const double difference = static_cast<double>(a[k]) - static_cast<double>(b[k]);
    sum += difference * difference;
  }
  return sum;
}

// How far FP32 can be trusted about d² against a limit: at or below `sure` it is below the limit, above `maybe` it is
// not, and in between the exact distance decides.
struct Limits {
  float sure;
  float maybe;
};

// FP32 rounds each difference, square and sum once, so d² is right to dims + 3 units in the last place; what is lost
// to underflow is far below kTiny. A limit near the ends of FP32's range leaves everything to the exact distance.
class Rounding {
 public:
  explicit Rounding(int dims) noexcept : relative_((dims + 8) * 0x1p-23) {}

  [[nodiscard]] static bool trusted(double limit) noexcept { return limit > 1e-28 && limit < 1e28; }

  [[nodiscard]] Limits around(double limit) const noexcept {
    if (!trusted(limit)) return {-1.0F, std::numeric_limits<float>::infinity()};
    return {static_cast<float>(limit * (1.0 - relative_)), above(limit)};
  }
  // What FP32 makes of any d² at or below `limit` is at or below this.
  [[nodiscard]] float above(double limit) const noexcept {
    return static_cast<float>(limit * (1.0 + relative_) + kTiny);
  }
  // A d² of which FP32 made less than this is below any of which it made `squared` or more.
  [[nodiscard]] float below(float squared) const noexcept {
    return static_cast<float>(squared * (1.0 - 4.0 * relative_) - 4.0 * kTiny);
  }
  // Any d² of which FP32 made `squared` is at or below this.
  [[nodiscard]] double exact_above(float squared) const noexcept { return squared * (1.0 + relative_) + kTiny; }

 private:
  static constexpr double kTiny = 1e-36;
  double relative_;
};

// Points are kept in blocks of kBlock, dimension by dimension; lanes without a point are NaN, and so never a hit.
inline constexpr int kBlock = 32;
// Boxes are kept in groups of kGroup, dimension by dimension, first the lower edges, then the upper ones.
inline constexpr int kGroup = 8;

// What lies within a limit of a query point, and its FP32 d²; the arrays have room for every lane scanned.
struct Hits {
  std::int32_t* item;
  float* squared;
  std::int64_t count;
};

// The two loops that the search spends its time in, for one kind of processor. All kinds find the same hits but for
// those that the exact distance decides.
struct Scans {
  // Adds the points of `blocks[0 … count)` whose FP32 d² is at or below `limit`, as block · kBlock + lane.
  void (*points)(const float* storage, int dims, const std::int32_t* blocks, std::int64_t count, const float* query,
                 float limit, Hits& hits);
  // Adds the boxes of `groups` groups at or below `limit`, as group · kGroup + lane.
  void (*boxes)(const float* storage, int dims, std::int64_t groups, const float* query, float limit, Hits& hits);
  // Adds the blocks of a tree at or below `limit` from a box: `boxes` and `leaves` are those of `PointTree`.
  void (*tree)(const float* boxes, const std::int32_t* leaves, std::int64_t nodes, int dims, const float* box,
               float limit, Hits& hits);
};

// Dimensions of a box of a tree, filled up to a multiple of this.
inline constexpr int kLanes = 8;
[[nodiscard]] constexpr int padded(int dims) noexcept { return (dims + kLanes - 1) / kLanes * kLanes; }

// The walk of a tree: on to the next node, or past a subtree that is too far away.
template <class Squared>
EXATRKX_STAGES_INLINE void walk_tree(const float* boxes, const std::int32_t* leaves, std::int64_t nodes, int dims,
                                     float limit, Hits& hits, Squared&& squared_to) {
  std::int32_t block = 0;
  for (std::int64_t node = 0; node < nodes;) {
    const float squared = squared_to(boxes + node * 2 * padded(dims));
    const std::int32_t below = leaves[node];
    if (!(squared <= limit)) {
      block += below;
      node += 2 * below - 1;
      continue;
    }
    if (below == 1) {
      hits.item[hits.count] = block++;
      hits.squared[hits.count++] = squared;
    }
    ++node;
  }
}

template <int kCount>
inline void add_hits(const float (&squared)[kCount], float limit, std::int32_t first, Hits& hits) {
  for (int lane = 0; lane < kCount; ++lane) {
    hits.item[hits.count] = first + lane;
    hits.squared[hits.count] = squared[lane];
    hits.count += squared[lane] <= limit;
  }
}

inline void scan_points_portable(const float* storage, int dims, const std::int32_t* blocks, std::int64_t count,
                                 const float* query, float limit, Hits& hits) {
  for (std::int64_t b = 0; b < count; ++b) {
    const float* block = storage + std::int64_t{blocks[b]} * kBlock * dims;
    float squared[kBlock] = {};
    for (int k = 0; k < dims; ++k) {
      for (int lane = 0; lane < kBlock; ++lane) {
        const float difference = block[k * kBlock + lane] - query[k];
        squared[lane] += difference * difference;
      }
    }
    add_hits(squared, limit, blocks[b] * kBlock, hits);
  }
}

inline void scan_boxes_portable(const float* storage, int dims, std::int64_t groups, const float* query, float limit,
                                Hits& hits) {
  for (std::int64_t g = 0; g < groups; ++g) {
    float squared[kGroup] = {};
    for (int k = 0; k < dims; ++k) {
      const float* edges = storage + (g * dims + k) * 2 * kGroup;
      for (int lane = 0; lane < kGroup; ++lane) {
        const float gap = std::max(std::max(edges[lane] - query[k], query[k] - edges[kGroup + lane]), 0.0F);
        squared[lane] += gap * gap;
      }
    }
    add_hits(squared, limit, static_cast<std::int32_t>(g) * kGroup, hits);
  }
}

inline void scan_tree_portable(const float* boxes, const std::int32_t* leaves, std::int64_t nodes, int dims,
                               const float* box, float limit, Hits& hits) {
  const int width = padded(dims);
  walk_tree(boxes, leaves, nodes, dims, limit, hits, [&](const float* other) {
    float sums[kLanes] = {};
    for (int k = 0; k < width; k += kLanes) {
      for (int lane = k; lane < k + kLanes; ++lane) {
        const float gap = std::max(std::max(box[lane] - other[width + lane], other[lane] - box[width + lane]), 0.0F);
        sums[lane - k] += gap * gap;
      }
    }
    return std::accumulate(std::begin(sums), std::end(sums), 0.0F);
  });
}

#ifdef EXATRKX_STAGES_AVX2
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
#endif

// The fastest scans that this processor runs.
[[nodiscard]] inline Scans best_scans() noexcept {
#ifdef EXATRKX_STAGES_AVX2
  if (has_avx2()) return {scan_points_avx2, scan_boxes_avx2, scan_tree_avx2};
#endif
  return {scan_points_portable, scan_boxes_portable, scan_tree_portable};
}

}  // namespace exatrkx::stages
