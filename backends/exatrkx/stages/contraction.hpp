// Greedy additive edge contraction: exatrkx/stages/track_building.py says what it does; here it is done one component at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <queue>
#include <utility>
#include <vector>

#include "components.hpp"

namespace exatrkx::stages {

// The clusters of one component, whose nodes are numbered from 0.
class Contraction {
 public:
  explicit Contraction(std::size_t nodes) : links_(nodes) {}

  // Edges may come several times, in any direction; their weights add up.
  void add(std::int32_t a, std::int32_t b, double weight) {
    links_[a].push_back({b, weight});
    links_[b].push_back({a, weight});
  }

  // Joins the two clusters with the largest weight between them, until none is above 0. `joined(a, b)` is told of each.
  template <class Joined>
  void run(Joined&& joined) {
    for (auto& links : links_) merge_equal(links);
    for (std::int32_t a = 0; a < static_cast<std::int32_t>(links_.size()); ++a) {
      for (const Link& link : links_[a]) {
        if (a < link.node) offer(a, link.node, link.weight);
      }
    }
    while (!candidates_.empty()) {
      const Candidate best = candidates_.top();
      candidates_.pop();
      const Link* link = find(best.a, best.b);
      if (link == nullptr || link->weight != best.weight) continue;  // one of the two has changed since
      joined(best.a, best.b);
      contract(best.a, best.b);
    }
  }

 private:
  struct Link {
    std::int32_t node;
    double weight;
  };
  using Links = std::vector<Link>;  // by node

  struct Candidate {
    double weight;
    std::int32_t a, b;  // a < b
    // The largest weight first; where there are several, that of the smallest nodes.
    bool operator<(const Candidate& other) const noexcept {
      if (weight != other.weight) return weight < other.weight;
      return std::pair(a, b) > std::pair(other.a, other.b);
    }
  };

  static auto place_of(Links& links, std::int32_t node) {
    return std::lower_bound(links.begin(), links.end(), node, [](const Link& l, std::int32_t n) { return l.node < n; });
  }

  static void merge_equal(Links& links) {
    std::sort(links.begin(), links.end(), [](const Link& l, const Link& r) {
      return std::pair(l.node, l.weight) < std::pair(r.node, r.weight);
    });
    std::size_t last = 0;
    for (std::size_t i = 1; i < links.size(); ++i) {
      if (links[i].node == links[last].node) {
        links[last].weight += links[i].weight;
      } else {
        links[++last] = links[i];
      }
    }
    if (!links.empty()) links.resize(last + 1);
  }

  [[nodiscard]] const Link* find(std::int32_t a, std::int32_t b) {
    const auto place = place_of(links_[a], b);
    return place == links_[a].end() || place->node != b ? nullptr : &*place;
  }

  void offer(std::int32_t a, std::int32_t b, double weight) {
    if (weight > 0) candidates_.push({weight, std::min(a, b), std::max(a, b)});
  }

  // Cluster b becomes part of cluster a.
  void contract(std::int32_t a, std::int32_t b) {
    const Links old = std::move(links_[b]);
    links_[b] = {};
    Links merged;
    merged.reserve(links_[a].size() + old.size());
    auto of_a = links_[a].cbegin();
    for (const Link& of_b : old) {
      for (; of_a != links_[a].cend() && of_a->node < of_b.node; ++of_a) keep(merged, *of_a, b);
      if (of_b.node == a) continue;
      const bool shared = of_a != links_[a].cend() && of_a->node == of_b.node;
      const double weight = of_b.weight + (shared ? (of_a++)->weight : 0.0);
      merged.push_back({of_b.node, weight});
      relink(of_b.node, a, b, weight);
      offer(a, of_b.node, weight);
    }
    for (; of_a != links_[a].cend(); ++of_a) keep(merged, *of_a, b);
    links_[a] = std::move(merged);
  }

  static void keep(Links& merged, const Link& link, std::int32_t gone) {
    if (link.node != gone) merged.push_back(link);
  }

  // In the links of `node`, b is replaced by a.
  void relink(std::int32_t node, std::int32_t a, std::int32_t b, double weight) {
    Links& links = links_[node];
    links.erase(place_of(links, b));
    const auto place = place_of(links, a);
    if (place != links.end() && place->node == a) {
      place->weight = weight;
    } else {
      links.insert(place, {a, weight});
    }
  }

  std::vector<Links> links_;
  std::priority_queue<Candidate> candidates_;
};

// The edges of a graph, component by component of those above the threshold.
class ComponentEdges {
 public:
  ComponentEdges(const std::int64_t* edge_index, const float* scores, std::int64_t edges, std::int64_t num_nodes,
                 float threshold)
      : place_(static_cast<std::size_t>(num_nodes)) {
    DisjointSets sets(num_nodes);
    for (std::int64_t e = 0; e < edges; ++e) {
      if (scores[e] > threshold) sets.join(edge_index[e], edge_index[edges + e]);
    }
    // Edges by component, in two passes: how many, then which.
    std::vector<std::int32_t> root(static_cast<std::size_t>(num_nodes));
    for (std::int64_t node = 0; node < num_nodes; ++node) root[node] = sets.root(node);
    begin_.assign(static_cast<std::size_t>(num_nodes) + 1, 0);
    against_.assign(static_cast<std::size_t>(num_nodes), false);
    const auto inside = [&](std::int64_t e) {
      const std::int64_t a = edge_index[e], b = edge_index[edges + e];
      return a != b && root[a] == root[b];
    };
    for (std::int64_t e = 0; e < edges; ++e) {
      if (!inside(e)) continue;
      ++begin_[root[edge_index[e]] + 1];
      if (!(scores[e] > threshold)) against_[root[edge_index[e]]] = true;
    }
    for (std::int64_t node = 0; node < num_nodes; ++node) begin_[node + 1] += begin_[node];
    edges_.resize(static_cast<std::size_t>(begin_.back()));
    std::vector<std::int64_t> next(begin_.begin(), begin_.end() - 1);
    for (std::int64_t e = 0; e < edges; ++e) {
      if (inside(e)) edges_[next[root[edge_index[e]]]++] = e;
    }
    // The number of each node within its component, and each component's nodes.
    std::vector<std::int32_t> size(static_cast<std::size_t>(num_nodes), 0);
    for (std::int64_t node = 0; node < num_nodes; ++node) place_[node] = size[root[node]]++;
    size_ = std::move(size);
  }

  // Whether an edge speaks against the component as it is; one without is a cluster.
  [[nodiscard]] bool disputed(std::int64_t root) const { return against_[root]; }
  [[nodiscard]] std::size_t nodes(std::int64_t root) const { return static_cast<std::size_t>(size_[root]); }
  [[nodiscard]] std::int32_t place(std::int64_t node) const { return place_[node]; }
  [[nodiscard]] auto begin(std::int64_t root) const { return edges_.begin() + begin_[root]; }
  [[nodiscard]] auto end(std::int64_t root) const { return edges_.begin() + begin_[root + 1]; }

 private:
  std::vector<std::int32_t> place_, size_;
  std::vector<std::int64_t> begin_, edges_;
  std::vector<bool> against_;
};

// Writes the labels [num_nodes] of the clusters.
inline void label_clusters(const std::int64_t* edge_index, const float* scores, std::int64_t edges,
                           std::int64_t num_nodes, float threshold, std::int64_t min_hits, std::int64_t* labels) {
  constexpr double kLargestWeight = 1e6;  // so that sums of infinite scores are numbers
  if (std::isinf(threshold)) return label_components(edge_index, scores, edges, num_nodes, threshold, min_hits, labels);
  check_no_nan(scores, edges, kEdgeScores);
  check_edge_index(edge_index, edges, num_nodes, kEdgeIndex);
  const ComponentEdges components(edge_index, scores, edges, num_nodes, threshold);
  DisjointSets clusters(num_nodes);
  std::vector<std::int64_t> node_of;
  for (std::int64_t root = 0; root < num_nodes; ++root) {
    if (components.begin(root) == components.end(root)) continue;
    if (!components.disputed(root)) {
      for (auto e = components.begin(root); e != components.end(root); ++e) {
        clusters.join(edge_index[*e], edge_index[edges + *e]);
      }
      continue;
    }
    node_of.resize(components.nodes(root));
    Contraction contraction(components.nodes(root));
    for (auto e = components.begin(root); e != components.end(root); ++e) {
      const std::int64_t a = edge_index[*e], b = edge_index[edges + *e];
      const double weight = static_cast<double>(scores[*e]) - static_cast<double>(threshold);
      node_of[components.place(a)] = a;
      node_of[components.place(b)] = b;
      contraction.add(components.place(a), components.place(b), std::clamp(weight, -kLargestWeight, kLargestWeight));
    }
    contraction.run([&](std::int32_t a, std::int32_t b) { clusters.join(node_of[a], node_of[b]); });
  }
  write_labels(clusters, num_nodes, min_hits, labels);
}

}  // namespace exatrkx::stages
