// Portable form of the SIMD scans, for any processor.
#pragma once

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <numeric>

#include "scan_layout.hpp"

namespace exatrkx::stages {

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

}  // namespace exatrkx::stages
