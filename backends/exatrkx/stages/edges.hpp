// Edge selection: exatrkx/edges.py says which edges go on; here they are copied, on a few threads.
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

// The columns of `edge_index` [2, edges] whose score is above `threshold`, in their order, as [2, E'] in memory that
// `allocate(E')` returns.
template <class Allocate>
void select_edges(const std::int64_t* edge_index, const float* scores, std::int64_t edges, float threshold, int threads,
                  Allocate&& allocate) {
  constexpr std::int64_t kTaskEdges = 1 << 16;
  const std::int64_t tasks = tasks_for(edges, kTaskEdges);
  const auto end_of = [&](std::int64_t task) { return std::min(edges, (task + 1) * kTaskEdges); };
  std::vector<std::int64_t> start(static_cast<std::size_t>(tasks) + 1, 0);
  std::atomic<bool> bad{false};
  parallel_for(tasks, threads, [&](std::int64_t task) {
    std::int64_t count = 0, signs = 0;
    bool nan = false;
    for (std::int64_t e = task * kTaskEdges; e < end_of(task); ++e) {
      signs |= edge_index[e] | edge_index[edges + e];
      nan |= std::isnan(scores[e]);
      count += scores[e] > threshold;
    }
    if (nan || signs < 0) bad = true;
    start[static_cast<std::size_t>(task) + 1] = count;
  });
  if (bad) {
    check_no_nan(scores, edges, kEdgeScores);
    check_edge_index(edge_index, edges, -1, kEdgeIndex);
  }
  for (std::size_t task = 1; task < start.size(); ++task) start[task] += start[task - 1];
  const std::int64_t selected = start.back();
  std::int64_t* out = allocate(selected);
  parallel_for(tasks, threads, [&](std::int64_t task) {
    std::int64_t next = start[static_cast<std::size_t>(task)];
    for (std::int64_t e = task * kTaskEdges; e < end_of(task); ++e) {
      if (!(scores[e] > threshold)) continue;
      out[next] = edge_index[e];
      out[selected + next++] = edge_index[edges + e];
    }
  });
}

}  // namespace exatrkx::stages
