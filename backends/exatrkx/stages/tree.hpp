// Balanced k-d tree of points in any number of dimensions, its leaves laid out for SIMD scans.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "distance.hpp"
#include "parallel.hpp"
#include "scan_layout.hpp"

namespace exatrkx::stages {

// Nodes lie in preorder: the children of node i with m leaves are i + 1 and i + 2 · (leaves of i + 1), and i + 2m - 1
// is the first node after its subtree. So a walk needs no stack: it goes on to i + 1, or skips.
class PointTree {
 public:
  PointTree(const float* points, std::int64_t count, int dims, int threads)
      : points_(points), count_(count), dims_(dims), padded_(padded(dims)), blocks_(tasks_for(count, kBlock)) {
    const auto nodes = static_cast<std::size_t>(std::max<std::int64_t>(2 * blocks_ - 1, 0));
    order.resize(static_cast<std::size_t>(count));
    keys_.resize(order.size());
    leaves.resize(nodes);
    boxes.resize(nodes * 2 * static_cast<std::size_t>(padded_));
    leaf_node.resize(static_cast<std::size_t>(blocks_));
    storage.resize(static_cast<std::size_t>(blocks_ * kBlock * dims));
    for (std::int64_t i = 0; i < count; ++i) order[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i);
    if (blocks_ > 0) build_all(threads);
    keys_ = {};
  }

  [[nodiscard]] std::int64_t blocks() const noexcept { return blocks_; }
  [[nodiscard]] std::int64_t nodes() const noexcept { return static_cast<std::int64_t>(leaves.size()); }
  [[nodiscard]] const float* box(std::int64_t node) const noexcept { return &boxes[node * 2 * padded_]; }
  [[nodiscard]] const float* lower(std::int64_t node) const noexcept { return box(node); }
  [[nodiscard]] const float* upper(std::int64_t node) const noexcept { return box(node) + padded_; }

  // An upper bound on the exact d² between any two points of a node. Rounding is monotonic and the dimensions are
  // summed in the same order, so it bounds the rounded distances too.
  [[nodiscard]] double squared_diameter(std::int64_t node) const noexcept {
    return exact_squared(upper(node), lower(node), dims_);
  }

  std::vector<std::int32_t> order;   // the point at each position
  std::vector<std::int32_t> leaves;  // of each node
  std::vector<std::int32_t> leaf_node;  // of each block
  std::vector<float> boxes;  // [nodes, 2, padded] lower and upper edges; 0 beyond the last dimension
  std::vector<float> storage;        // [blocks, dims, kBlock]

 private:
  struct Key {
    float value;
    std::int32_t point;
  };
  struct Subtree {
    std::int64_t node, first;  // first block
    std::int32_t leaves;
  };

  // The upper levels on one thread, until there are subtrees for all.
  void build_all(int threads) {
    std::vector<Subtree> open{{0, 0, static_cast<std::int32_t>(blocks_)}};
    while (static_cast<int>(open.size()) < threads && open.front().leaves > 64) {
      std::vector<Subtree> next;
      for (const auto& subtree : open) {
        const auto [left, right] = split(subtree);
        next.push_back(left);
        next.push_back(right);
      }
      open = std::move(next);
    }
    parallel_for(static_cast<std::int64_t>(open.size()), threads,
                 [&](std::int64_t i) { build(open[static_cast<std::size_t>(i)]); });
  }

  void build(const Subtree& subtree) {
    if (subtree.leaves == 1) {
      bound(subtree);
      leaf_node[subtree.first] = static_cast<std::int32_t>(subtree.node);
      fill(subtree.first);
      return;
    }
    const auto [left, right] = split(subtree);
    build(left);
    build(right);
  }

  // The first and the last position of a subtree.
  [[nodiscard]] std::pair<std::int64_t, std::int64_t> range(const Subtree& subtree) const noexcept {
    return {subtree.first * kBlock, std::min(count_, (subtree.first + subtree.leaves) * kBlock)};
  }

  void bound(const Subtree& subtree) {
    leaves[subtree.node] = subtree.leaves;
    float *low = &boxes[subtree.node * 2 * padded_], *high = low + padded_;
    std::fill_n(low, dims_, std::numeric_limits<float>::max());
    std::fill_n(high, dims_, std::numeric_limits<float>::lowest());
    const auto [begin, end] = range(subtree);
    for (std::int64_t position = begin; position < end; ++position) {
      const float* point = points_ + static_cast<std::int64_t>(order[position]) * dims_;
      for (int k = 0; k < dims_; ++k) {
        low[k] = std::min(low[k], point[k]);
        high[k] = std::max(high[k], point[k]);
      }
    }
  }

  // Halves the blocks of a subtree across its longest side.
  std::pair<Subtree, Subtree> split(const Subtree& subtree) {
    bound(subtree);
    const float *low = lower(subtree.node), *high = upper(subtree.node);
    int longest = 0;
    for (int k = 1; k < dims_; ++k) {
      if (high[k] - low[k] > high[longest] - low[longest]) longest = k;
    }
    const std::int32_t left = (subtree.leaves + 1) / 2;
    const auto [begin, end] = range(subtree);
    for (std::int64_t position = begin; position < end; ++position) {
      const std::int32_t point = order[position];
      keys_[position] = {points_[static_cast<std::int64_t>(point) * dims_ + longest], point};
    }
    std::nth_element(keys_.begin() + begin, keys_.begin() + (subtree.first + left) * kBlock, keys_.begin() + end,
                     [](const Key& a, const Key& b) { return a.value < b.value; });
    for (std::int64_t position = begin; position < end; ++position) order[position] = keys_[position].point;
    return {{subtree.node + 1, subtree.first, left},
            {subtree.node + 2 * left, subtree.first + left, subtree.leaves - left}};
  }

  void fill(std::int64_t block) {
    float* lanes = &storage[block * kBlock * dims_];
    for (int lane = 0; lane < kBlock; ++lane) {
      const std::int64_t position = block * kBlock + lane;
      const float* point = position < count_ ? points_ + static_cast<std::int64_t>(order[position]) * dims_ : nullptr;
      for (int k = 0; k < dims_; ++k) {
        lanes[k * kBlock + lane] = point != nullptr ? point[k] : std::numeric_limits<float>::quiet_NaN();
      }
    }
  }

  const float* points_;
  std::int64_t count_;
  int dims_, padded_;
  std::int64_t blocks_;
  std::vector<Key> keys_;
};

}  // namespace exatrkx::stages
