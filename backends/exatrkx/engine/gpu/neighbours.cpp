// Fixed-radius neighbours on a GPU: exatrkx/stages/cuda.py with torch's tensors, a grid over the points of the
// embedding first.
#include <ATen/ops/amax.h>
#include <ATen/ops/amin.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/std.h>
#include <ATen/ops/zeros.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "../../stages/checks.hpp"
#include "../errors.hpp"
#include "../graph.hpp"
#include "graph.hpp"
#include "kernels.hpp"

namespace exatrkx::gpu {

namespace {

// Points in the order of their cells.
struct SortedPoints {
  at::Tensor points;  // [N,D] FP32
  at::Tensor index;   // [N] INT32 the spacepoint that each of them is
  at::Tensor plan;    // [4,3] FP64 on the points' device
  at::Tensor start;   // [cells + 1] INT64 the first point of each cell
};

constexpr int kAxes = 3;  // as in stages/cuda/grid.cuh
constexpr int kLanes = 8;  // as in stages/cuda/neighbours.cu
constexpr std::int64_t kMostListed = 128, kMostListedInAll = 1 << 28, kRankingBlocks = 1024;

// By rows: dimension, lower edge, cells per unit of length and number of cells of each axis.
struct Plan {
  std::array<double, kAxes> dimension{}, lower{}, per_unit{}, cells{1.0, 1.0, 1.0};

  [[nodiscard]] std::int64_t num_cells() const { return static_cast<std::int64_t>(cells[0] * cells[1] * cells[2]); }
};

// The axes for points in the box [lowest, highest], [dims] each: those dimensions in which they are spread most.
Plan plan_for(const double* lowest, const double* highest, const double* spread, std::int64_t dims, double radius) {
  constexpr std::array<double, kAxes> kMostCells{1 << 20, 1 << 10, 1 << 7};  // by the number of axes: some 10^6 in all
  constexpr double kCellsPerRadius = 2.0;
  std::vector<int> widest(static_cast<std::size_t>(dims));
  std::iota(widest.begin(), widest.end(), 0);
  std::stable_sort(widest.begin(), widest.end(), [&](int a, int b) { return spread[a] > spread[b]; });
  const std::size_t axes = std::min<std::size_t>(widest.size(), kAxes);
  Plan plan;
  for (std::size_t axis = 0; axis < axes; ++axis) {
    const int dimension = widest[axis];
    const double extent = highest[dimension] - lowest[dimension];
    const double cells = std::clamp(std::floor(kCellsPerRadius * extent / radius), 1.0, kMostCells[axes - 1]);
    plan.dimension[axis] = dimension;
    plan.lower[axis] = lowest[dimension];
    plan.cells[axis] = cells;
    if (cells > 1.0) plan.per_unit[axis] = cells / extent;
  }
  return plan;
}

// `embedding` [N,D] FP32, N ≥ 1, contiguous. Throws ContractError where an entry is not finite; one wait tells, and
// where the points are.
SortedPoints sort_into_cells(const at::Tensor& embedding, double radius) {
  const std::int64_t count = embedding.size(0), dims = embedding.size(1);
  const at::Tensor wide = embedding.to(at::kDouble);
  const at::Tensor box = at::stack({at::amin(wide, 0), at::amax(wide, 0), at::std(wide, 0, /*unbiased=*/false)}).cpu();
  const double* const found = box.const_data_ptr<double>();
  if (!std::all_of(found, found + 3 * dims, [](double value) { return std::isfinite(value); })) {
    check_finite(embedding, stages::kEmbedding);
  }
  Plan host_plan = plan_for(found, found + dims, found + 2 * dims, dims, radius);
  const at::Tensor plan = at::from_blob(&host_plan, {4, kAxes}, box.options())
                              .to(embedding.device(), at::kDouble, /*non_blocking=*/false, /*copy=*/true);
  const at::Tensor cell = at::empty({count}, embedding.options().dtype(at::kInt));
  find_cells(blocks_for(count), current_stream(embedding), embedding, count, dims, plan, cell);
  const auto [sorted, order] = at::sort(cell);
  const at::Tensor cells = at::arange(host_plan.num_cells() + 1, cell.options());
  return {embedding.index_select(0, order), order.to(at::kInt), plan, at::searchsorted(sorted, cells)};
}

class EdgeSearch {
 public:
  EdgeSearch(const at::Tensor& embedding, const WorkingPoint& cuts)
      : cuts_(cuts),
        sorted_(sort_into_cells(embedding, cuts.radius)),
        count_(embedding.size(0)),
        capacity_(std::min({cuts.max_neighbors, kMostListed, std::max<std::int64_t>(1, kMostListedInAll / count_)})),
        stream_(current_stream(embedding)),
        found_(at::zeros({2}, options(at::kLong))),
        neighbours_(at::zeros({count_}, options(at::kInt))),
        near_(at::empty({count_, capacity_}, options(at::kInt))),
        furthest_(at::full({count_}, std::numeric_limits<double>::infinity(), options(at::kDouble))) {}

  at::Tensor edges() {
    list();
    const at::Tensor row_size = at::zeros({count_}, options(at::kLong));
    find(row_size, nullptr);
    const at::Tensor row_end = at::cumsum(row_size, 0);
    const auto edges = row_end[-1].item<std::int64_t>();
    if (edges > cuts_.max_edges) throw GraphTooLargeError(stages::kEmbedding, count_, cuts_.max_edges, edges);
    at::Tensor edge_index = at::empty({2, edges}, options(at::kLong));
    if (edges == 0) return edge_index;
    at::Tensor pairs = at::empty({edges}, options(at::kLong));  // row · N + column
    find(row_end.sub(row_size), pairs);
    pairs = std::get<0>(at::sort(pairs));
    split_edges(blocks_for(edges), stream_, pairs, edges, count_, edge_index);
    return edge_index;
  }

 private:
  [[nodiscard]] at::TensorOptions options(at::ScalarType type) const { return sorted_.points.options().dtype(type); }

  // The neighbours of each point, up to `capacity_`, and, where they are more than it may keep, how far it looks.
  void list() const {
    const auto& [points, index, plan, start] = sorted_;
    const std::int64_t dims = points.size(1), most = cuts_.max_neighbors;
    const bool capped = most < count_ - 1;
    list_neighbours(blocks_for(count_ * kLanes), stream_, points, index, count_, dims, plan, start, cuts_.radius,
                    1 + (capped ? most : capacity_), capacity_, neighbours_, near_);
    if (!capped) return;
    find_furthest(std::min(count_, kRankingBlocks), stream_, points, count_, dims, plan, start, cuts_.radius,
                  neighbours_, most, furthest_, cuts_.max_edges, found_);
  }

  // `row`: to count in, or where each begins; `pairs`: a tensor, or null to count alone.
  template <class Pairs>
  void find(const at::Tensor& row, const Pairs& pairs) const {
    const auto& [points, index, plan, start] = sorted_;
    find_edges(blocks_for(count_ * kLanes), stream_, points, index, count_, points.size(1), plan, start, cuts_.radius,
               furthest_, capacity_, neighbours_, near_, cuts_.max_edges, found_, row, pairs);
  }

  const WorkingPoint& cuts_;
  SortedPoints sorted_;
  std::int64_t count_, capacity_;
  void* stream_;
  at::Tensor found_;       // [2] INT64 what the kernels have counted, to give a crowd up
  at::Tensor neighbours_;  // [N] INT32 how many each point has, counted little further than it may keep
  at::Tensor near_;        // [N,capacity] INT32 spacepoints
  at::Tensor furthest_;    // [N] FP64 the largest d² that each point keeps: infinity where that is all
};

}  // namespace

void* current_stream(const at::Tensor& tensor) {
  if (tensor.is_cpu()) return nullptr;
  const c10::impl::VirtualGuardImpl device(tensor.device().type());
  return device.getStream(tensor.device()).native_handle();
}

at::Tensor fixed_radius_edges(const at::Tensor& embedding, const WorkingPoint& cuts) {
  if (embedding.size(0) < 2) {
    check_finite(embedding, stages::kEmbedding);
    return at::empty({2, 0}, embedding.options().dtype(at::kLong));
  }
  return EdgeSearch(embedding.contiguous(), cuts).edges();
}

}  // namespace exatrkx::gpu
