// Edge selection: exatrkx/stages/edges.py says which edges go on; here they are copied, on a few threads.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "checks.hpp"
#include "parallel.hpp"

namespace exatrkx::stages {

// The largest float not above logit(cut): a float score exceeds the logit if and only if it exceeds this.
[[nodiscard]] inline float score_threshold(double cut) noexcept {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (cut <= 0.0) return -kInfinity;
  if (cut >= 1.0) return kInfinity;
  const double exact = std::log(cut) - std::log1p(-cut);
  const auto rounded = static_cast<float>(exact);
  return static_cast<double>(rounded) <= exact ? rounded : std::nextafter(rounded, -kInfinity);
}

// Selects the columns of an edge index: counts first, so that the answer is written where it stays.
class EdgeSelector {
 public:
  EdgeSelector(const std::int64_t* edge_index, const float* scores, std::int64_t edges, float threshold)
      : edge_index_(edge_index), scores_(scores), edges_(edges), threshold_(threshold), start_(tasks() + 1, 0) {}

  void count(int threads) {
    std::atomic<bool> bad{false};
    parallel_for(tasks(), threads, [&](std::int64_t task) {
      if (!count_task(task)) bad = true;
    });
    if (bad) {
      check_no_nan(scores_, edges_, kEdgeScores);
      check_edge_index(edge_index_, edges_, -1, kEdgeIndex);
    }
    for (std::size_t task = 1; task < start_.size(); ++task) start_[task] += start_[task - 1];
  }

  [[nodiscard]] std::int64_t selected() const noexcept { return start_.back(); }

  void write(std::int64_t* out, int threads) const {
    parallel_for(tasks(), threads, [&](std::int64_t task) { write_task(task, out); });
  }

 private:
  static constexpr std::int64_t kTaskEdges = 1 << 15;
  static constexpr std::int64_t kStride = 1024;

  [[nodiscard]] std::int64_t tasks() const noexcept { return tasks_for(edges_, kTaskEdges); }
  [[nodiscard]] std::int64_t end_of(std::int64_t task) const noexcept {
    return std::min(edges_, (task + 1) * kTaskEdges);
  }

  // False if something is to be refused.
  bool count_task(std::int64_t task) {
    const std::int64_t begin = task * kTaskEdges, end = end_of(task);
    std::int32_t above = 0;
    for (std::int64_t e = begin; e < end; ++e) above += scores_[e] > threshold_;
    start_[static_cast<std::size_t>(task) + 1] = above;
    return all_numbers(scores_ + begin, end - begin) && all_within(edge_index_ + begin, end - begin, -1) &&
           all_within(edge_index_ + edges_ + begin, end - begin, -1);
  }

  // Where the scores above the threshold are cannot be predicted: so no branch asks.
  void write_task(std::int64_t task, std::int64_t* out) const {
    std::int64_t next = start_[static_cast<std::size_t>(task)];
    for (std::int64_t begin = task * kTaskEdges; begin < end_of(task); begin += kStride) {
      std::int64_t columns[kStride];
      std::int64_t count = 0;
      for (std::int64_t e = begin; e < std::min(begin + kStride, end_of(task)); ++e) {
        columns[count] = e;
        count += scores_[e] > threshold_;
      }
      for (std::int64_t i = 0; i < count; ++i) out[next + i] = edge_index_[columns[i]];
      for (std::int64_t i = 0; i < count; ++i) out[selected() + next + i] = edge_index_[edges_ + columns[i]];
      next += count;
    }
  }

  const std::int64_t* edge_index_;  // [2, edges]
  const float* scores_;
  std::int64_t edges_;
  float threshold_;
  std::vector<std::int64_t> start_;  // of each task in the answer
};

// The columns of `edge_index` [2, edges] whose score is above `threshold`, in their order, as [2, E'] in memory that
// `allocate(E')` returns.
template <class Allocate>
void select_edges(const std::int64_t* edge_index, const float* scores, std::int64_t edges, float threshold, int threads,
                  Allocate&& allocate) {
  // A thread takes longer to start than to copy a small share.
  constexpr std::int64_t kThreadEdges = 1 << 18;
  threads = static_cast<int>(std::clamp<std::int64_t>(edges / kThreadEdges, 1, threads));
  EdgeSelector selector(edge_index, scores, edges, threshold);
  selector.count(threads);
  selector.write(allocate(selector.selected()), threads);
}

}  // namespace exatrkx::stages
