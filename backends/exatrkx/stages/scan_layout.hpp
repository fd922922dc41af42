// Memory layout of points and boxes for the SIMD scans, and what a scan finds.
#pragma once

#include <cstdint>

#include "processor.hpp"

namespace exatrkx::stages {

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

// The loops that the search spends its time in, for one kind of processor. All kinds find the same hits but for
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

}  // namespace exatrkx::stages
