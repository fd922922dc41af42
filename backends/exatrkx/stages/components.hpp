// Connected components: exatrkx/stages/track_building.py says what the labels are; here a union-find makes them.
#pragma once

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "checks.hpp"

namespace exatrkx::stages {

// Sets of spacepoints; the smallest index in a set is its root, so that sets are met in the order of their labels.
class DisjointSets {
 public:
  explicit DisjointSets(std::int64_t count) : parent_(static_cast<std::size_t>(count)) {
    std::iota(parent_.begin(), parent_.end(), 0);
  }

  // Path halving: Tarjan and van Leeuwen, J. ACM 31 (1984) 245.
  [[nodiscard]] std::int32_t root(std::int64_t node) noexcept {
    auto i = static_cast<std::int32_t>(node);
    while (parent_[i] != i) i = parent_[i] = parent_[parent_[i]];
    return i;
  }

  void join(std::int64_t a, std::int64_t b) noexcept {
    std::int32_t root_a = root(a), root_b = root(b);
    if (root_a == root_b) return;
    if (root_a < root_b) std::swap(root_a, root_b);
    parent_[root_a] = root_b;
  }

 private:
  std::vector<std::int32_t> parent_;
};

// Writes the labels [num_nodes] of sets of `min_hits` or more, 0, 1, 2, … in the order of their roots; -1 for others.
inline void write_labels(DisjointSets& sets, std::int64_t num_nodes, std::int64_t min_hits, std::int64_t* labels) {
  constexpr std::int64_t kNoise = -1;
  std::vector<std::int32_t> size(static_cast<std::size_t>(num_nodes), 0);
  for (std::int64_t node = 0; node < num_nodes; ++node) ++size[sets.root(node)];
  std::int64_t next = 0;
  for (std::int64_t node = 0; node < num_nodes; ++node) {
    const std::int32_t root = sets.root(node);
    if (root == node) {
      labels[node] = size[root] >= min_hits ? next++ : kNoise;
    } else {
      labels[node] = labels[root];  // the root's index is smaller, so its label is there
    }
  }
}

// Writes the labels [num_nodes] of the components that the edges with a score above `threshold` make.
inline void label_components(const std::int64_t* edge_index, const float* scores, std::int64_t edges,
                             std::int64_t num_nodes, float threshold, std::int64_t min_hits, std::int64_t* labels) {
  check_no_nan(scores, edges, kEdgeScores);
  check_edge_index(edge_index, edges, num_nodes, kEdgeIndex);
  DisjointSets sets(num_nodes);
  for (std::int64_t e = 0; e < edges; ++e) {
    if (scores[e] > threshold) sets.join(edge_index[e], edge_index[edges + e]);
  }
  write_labels(sets, num_nodes, min_hits, labels);
}

}  // namespace exatrkx::stages
