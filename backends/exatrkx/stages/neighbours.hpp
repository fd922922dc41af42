// Fixed-radius neighbours: exatrkx/stages/edges.py says what the graph is; here it is found, on a few threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "checks.hpp"
#include "errors.hpp"
#include "neighbourhood.hpp"
#include "parallel.hpp"
#include "sorting.hpp"
#include "tree.hpp"

namespace exatrkx::stages {

struct NeighbourOptions {
  double radius;
  std::int64_t max_neighbors;
  std::int64_t max_edges;
  int threads;
};

// Finds the edges in two steps: what each point keeps, then the rows of the edge index, each sorted.
class EdgeFinder {
 public:
  EdgeFinder(const float* points, std::int64_t count, int dims, const NeighbourOptions& options)
      : points_(points),
        count_(count),
        dims_(dims),
        options_(options),
        tree_(points, count, dims, options.threads),
        found_(static_cast<std::size_t>(count)),
        furthest_(found_.size()),
        lists_(static_cast<std::size_t>(tasks_for(tree_.blocks(), kTaskBlocks))),
        missed_(lists_.size()) {
    options_.max_neighbors = std::clamp<std::int64_t>(options.max_neighbors, 1, std::max<std::int64_t>(count, 1));
    // A thread takes longer to start than to search a small share.
    options_.threads = static_cast<int>(std::clamp<std::int64_t>(count / kThreadPoints, 1, options.threads));
    options_.max_edges = std::min(options.max_edges, std::numeric_limits<std::int64_t>::max() / 4);
  }

  // `allocate(edges)` returns room for [2, edges].
  template <class Allocate>
  void run(Allocate&& allocate) {
    find_reach();
    look_at_sample();
    find();
    start_rows();
    const std::int64_t edges = row_start_.back();
    if (edges > options_.max_edges) refuse(edges);
    write(allocate(edges), edges);
  }

 private:
  static constexpr std::int64_t kThreadPoints = 2048;
  static constexpr std::int64_t kTaskBlocks = 8;
  static constexpr std::int64_t kTaskRows = 2048;
  static constexpr std::int64_t kSampleShare = 16;  // of the points, at most one in so many
  static constexpr std::uint64_t kFewestSampled = 64, kMostSampled = 4096;
  static constexpr double kSampleOdds = 41.4;  // ln 10^18

  // What a point keeps: in its task's list, first the smaller indices, then the larger ones.
  struct Found {
    std::int64_t begin;
    std::int32_t task, smaller, larger;
  };
  // A pair that only its smaller point keeps.
  struct Missed {
    std::int32_t larger, smaller;
  };

  [[noreturn]] void refuse(std::int64_t found) const {
    throw GraphTooLargeError(kEmbedding, count_, options_.max_edges, found);
  }

  // Refuses a graph that a sample of the points shows to be too large, before memory is spent on what they keep.
  //
  // An edge is kept by two points at most, so there are at least N/2 · mean(min(kept, most)) edges, whatever `most` is
  // up to the cap. How far the mean of a sample is from that of all, only once in 10^18 by chance, says Hoeffding,
  // J. Am. Stat. Assoc. 58 (1963) 13. It is looked at after 64 points, 128, and so on, until it says yes or no.
  void look_at_sample() const {
    const double allowed = 2.0 * static_cast<double>(options_.max_edges) / static_cast<double>(count_);
    const double most = std::min(static_cast<double>(options_.max_neighbors), 4.0 * allowed);
    if (most <= allowed) return;
    Neighbourhood neighbourhood(tree_, points_, dims_, options_.radius, options_.max_neighbors);
    std::minstd_rand random;  // begins alike for every event: the same answer each time
    std::uniform_int_distribution<std::int64_t> positions(0, count_ - 1);
    const auto sampled = std::min(kMostSampled, static_cast<std::uint64_t>(count_ / kSampleShare));
    double kept = 0.0;
    for (std::uint64_t looked = 1; looked <= sampled; ++looked) {
      const std::int64_t position = positions(random), block = position / kBlock;
      neighbourhood.open(tree_.leaf_node[block], leaf_reach_[block]);
      const auto enough = static_cast<std::int64_t>(std::ceil(most));
      kept += std::min(most, static_cast<double>(neighbourhood.count(tree_.order[position], enough)));
      if (looked < kFewestSampled || !std::has_single_bit(looked)) continue;
      const double mean = kept / static_cast<double>(looked);
      const double error = most * std::sqrt(kSampleOdds / (2.0 * static_cast<double>(looked)));
      if (mean + error < allowed) return;
      if (mean - error <= allowed) continue;
      const double found = static_cast<double>(count_) / 2.0 * (mean - error);
      refuse(std::max(options_.max_edges + 1, static_cast<std::int64_t>(found)));
    }
  }

  void find() {
    parallel_for(static_cast<std::int64_t>(lists_.size()), options_.threads, [&](std::int64_t task) {
      Neighbourhood neighbourhood(tree_, points_, dims_, options_.radius, options_.max_neighbors);
      const std::int64_t end = std::min((task + 1) * kTaskBlocks, tree_.blocks());
      for (std::int64_t block = task * kTaskBlocks; block < end; ++block) {
        find_for_block(neighbourhood, block, static_cast<std::int32_t>(task));
      }
    });
  }

  // For each leaf a bound on the d² of all that its points keep: a box with more points than the cap has them all
  // within its diameter.
  void find_reach() {
    std::vector<double> reach(static_cast<std::size_t>(tree_.nodes()), std::numeric_limits<double>::infinity());
    std::int64_t block = 0;
    for (std::int64_t node = 0; node < tree_.nodes(); ++node) {
      const std::int64_t leaves = tree_.leaves[node];
      const std::int64_t points = std::min(count_, (block + leaves) * kBlock) - block * kBlock;
      if (points > options_.max_neighbors) reach[node] = std::min(reach[node], tree_.squared_diameter(node));
      if (leaves == 1) {
        leaf_reach_.push_back(reach[node]);
        ++block;
      } else {
        reach[node + 1] = reach[node + 2 * tree_.leaves[node + 1]] = reach[node];
      }
    }
  }

  void find_for_block(Neighbourhood& neighbourhood, std::int64_t block, std::int32_t task) {
    auto& list = lists_[static_cast<std::size_t>(task)];
    neighbourhood.open(tree_.leaf_node[block], leaf_reach_[block]);
    std::int64_t kept = 0;
    bool capped = false;
    for (std::int64_t position = block * kBlock; position < std::min(count_, (block + 1) * kBlock); ++position) {
      const std::int32_t point = tree_.order[position];
      furthest_[point] = neighbourhood.keep(point);
      capped |= furthest_[point] < std::numeric_limits<double>::infinity();
      const auto smaller = neighbourhood.smaller(), larger = neighbourhood.larger();
      found_[point] = {static_cast<std::int64_t>(list.size()), task, static_cast<std::int32_t>(smaller.size()),
                       static_cast<std::int32_t>(larger.size())};
      list.insert(list.end(), smaller.begin(), smaller.end());
      list.insert(list.end(), larger.begin(), larger.end());
      kept += static_cast<std::int64_t>(smaller.size() + larger.size());
      // An edge is kept by two points at most, so with more than this there are too many edges.
      if (kept_ + kept > 2 * options_.max_edges) refuse((kept_ + kept + 1) / 2);
    }
    kept_ += kept;
    if (capped) capped_ = true;
  }

  // The edges that the smaller index alone keeps, and with them the length of each row.
  void start_rows() {
    if (capped_) {
      parallel_for(static_cast<std::int64_t>(lists_.size()), options_.threads,
                   [&](std::int64_t task) { find_missed(task); });
    }
    row_start_.assign(static_cast<std::size_t>(count_) + 1, 0);
    missed_start_.assign(row_start_.size(), 0);
    for (const auto& pairs : missed_) {
      for (const auto& pair : pairs) ++missed_start_[pair.larger + 1];
    }
    for (std::int64_t row = 0; row < count_; ++row) {
      row_start_[row + 1] = row_start_[row] + found_[row].smaller + missed_start_[row + 1];
      missed_start_[row + 1] += missed_start_[row];
    }
    missed_smaller_.resize(static_cast<std::size_t>(missed_start_.back()));
    auto next = missed_start_;
    for (const auto& pairs : missed_) {
      for (const auto& pair : pairs) missed_smaller_[next[pair.larger]++] = pair.smaller;
    }
  }

  void find_missed(std::int64_t task) {
    const std::int64_t end = std::min(count_, (task + 1) * kTaskBlocks * kBlock);
    for (std::int64_t position = task * kTaskBlocks * kBlock; position < end; ++position) {
      const std::int32_t point = tree_.order[position];
      const Found& found = found_[point];
      const std::int32_t* larger = lists_[task].data() + found.begin + found.smaller;
      for (std::int32_t i = 0; i < found.larger; ++i) {
        if (furthest_[larger[i]] == std::numeric_limits<double>::infinity()) continue;
        const double squared = exact_squared(points_ + std::int64_t{point} * dims_,
                                             points_ + std::int64_t{larger[i]} * dims_, dims_);
        if (squared > furthest_[larger[i]]) missed_[task].push_back({larger[i], point});
      }
    }
  }

  void write(std::int64_t* edge_index, std::int64_t edges) {
    parallel_for(tasks_for(count_, kTaskRows), options_.threads, [&](std::int64_t task) {
      std::vector<std::int32_t> row;
      for (std::int64_t i = task * kTaskRows; i < std::min(count_, (task + 1) * kTaskRows); ++i) {
        const Found& found = found_[i];
        const std::int32_t* kept = lists_[found.task].data() + found.begin;
        row.assign(kept, kept + found.smaller);
        row.insert(row.end(), missed_smaller_.begin() + missed_start_[i],
                   missed_smaller_.begin() + missed_start_[i + 1]);
        std::fill_n(edge_index + row_start_[i], row.size(), i);
        write_sorted(row, edge_index + edges + row_start_[i]);
      }
    });
  }

  const float* points_;
  std::int64_t count_;
  int dims_;
  NeighbourOptions options_;
  PointTree tree_;
  std::vector<double> leaf_reach_;
  std::vector<Found> found_;
  std::vector<double> furthest_;  // of each point, the largest d² that it keeps; infinity without a cap
  std::vector<std::vector<std::int32_t>> lists_;
  std::vector<std::vector<Missed>> missed_;
  std::atomic<std::int64_t> kept_{0};
  std::atomic<bool> capped_{false};  // whether the cap is at work anywhere
  std::vector<std::int64_t> row_start_, missed_start_;
  std::vector<std::int32_t> missed_smaller_;
};

// The edges of `points` [count, dims], as [2, E] in memory that `allocate(E)` returns.
template <class Allocate>
void fixed_radius_edges(const float* points, std::int64_t count, std::int64_t dims, const NeighbourOptions& options,
                        Allocate&& allocate) {
  check_finite(points, count, dims, kEmbedding);
  EdgeFinder(points, count, static_cast<int>(dims), options).run(allocate);
}

}  // namespace exatrkx::stages
