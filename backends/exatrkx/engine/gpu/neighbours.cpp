// Fixed-radius neighbours on a GPU: exatrkx/stages/cuda.py with torch's tensors, a grid over the points of the
// embedding first.
#include <ATen/ops/amax.h>
#include <ATen/ops/amin.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/floor_divide.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/remainder.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/stack.h>
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

// Of each of three axes: its dimension, lower edge, cells per unit of length and number of cells. On the points'
// device.
struct Axes {
  at::Tensor dimension;  // [3] INT32
  at::Tensor lower;      // [3] FP64
  at::Tensor per_unit;   // [3] FP64
  at::Tensor cells;      // [3] INT32
};

// Points in the order of their cells.
struct SortedPoints {
  at::Tensor points;  // [N,D] FP32
  at::Tensor index;   // [N] INT32 the spacepoint that each of them is
  at::Tensor start;   // [cells + 1] INT64 the first point of each cell
  Axes axes;
};

constexpr int kAxes = 3;  // as in stages/cuda/grid.cuh

struct Plan {
  std::array<int, kAxes> dimension{}, cells{1, 1, 1};
  std::array<double, kAxes> lower{}, per_unit{};
};

// The axes for points in the box [lowest, highest]: those dimensions in which it is widest.
Plan plan_for(const std::vector<double>& lowest, const std::vector<double>& highest, double radius) {
  constexpr std::array<double, kAxes> kMostCells{1 << 20, 1 << 10, 1 << 7};  // by the number of axes: some 10^6 in all
  const auto extent = [&](int dimension) { return highest[dimension] - lowest[dimension]; };
  std::vector<int> widest(lowest.size());
  std::iota(widest.begin(), widest.end(), 0);
  std::stable_sort(widest.begin(), widest.end(), [&](int a, int b) { return extent(a) > extent(b); });
  const std::size_t axes = std::min<std::size_t>(widest.size(), kAxes);
  Plan plan;
  for (std::size_t axis = 0; axis < axes; ++axis) {
    const int dimension = widest[axis];
    const double cells = std::clamp(std::floor(extent(dimension) / radius), 1.0, kMostCells[axes - 1]);
    plan.dimension[axis] = dimension;
    plan.lower[axis] = lowest[dimension];
    plan.cells[axis] = static_cast<int>(cells);
    if (cells > 1.0) plan.per_unit[axis] = cells / extent(dimension);
  }
  return plan;
}

std::vector<double> on_host(const at::Tensor& row) {
  const at::Tensor values = row.to(at::kDouble).cpu();
  return {values.const_data_ptr<double>(), values.const_data_ptr<double>() + values.numel()};
}

template <class Number>
at::Tensor on_device(std::array<Number, kAxes>& values, at::ScalarType type, c10::Device device) {
  const at::Tensor host = at::from_blob(values.data(), {kAxes}, at::TensorOptions().dtype(type));
  return host.to(device, type, /*non_blocking=*/false, /*copy=*/true);
}

// `embedding` [N,D] FP32, N ≥ 1, contiguous. Cells are at least `radius` wide: neighbours are in the same cell or the
// ones beside it.
SortedPoints sort_into_cells(const at::Tensor& embedding, double radius) {
  const std::int64_t count = embedding.size(0);
  const c10::Device device = embedding.device();
  Plan plan = plan_for(on_host(at::amin(embedding, 0)), on_host(at::amax(embedding, 0)), radius);
  const Axes axes{on_device(plan.dimension, at::kInt, device), on_device(plan.lower, at::kDouble, device),
                  on_device(plan.per_unit, at::kDouble, device), on_device(plan.cells, at::kInt, device)};
  const at::Tensor cell = at::empty({count}, embedding.options().dtype(at::kInt));
  find_cells(blocks_for(count), current_stream(embedding), embedding, count, embedding.size(1), axes.dimension,
             axes.lower, axes.per_unit, axes.cells, cell);
  const at::Tensor order = std::get<1>(at::sort(cell));  // [N] INT64
  const std::int64_t cells = std::int64_t{plan.cells[0]} * plan.cells[1] * plan.cells[2];
  const at::Tensor start = at::zeros({cells + 1}, embedding.options().dtype(at::kLong));
  start.narrow(0, 1, cells).copy_(at::cumsum(at::bincount(cell, {}, cells), 0));
  return {embedding.index_select(0, order), order.to(at::kInt), start, axes};
}

class EdgeSearch {
 public:
  EdgeSearch(const at::Tensor& embedding, const WorkingPoint& cuts)
      : cuts_(cuts),
        sorted_(sort_into_cells(embedding, cuts.radius)),
        count_(embedding.size(0)),
        stream_(current_stream(embedding)),
        found_(at::zeros({2}, options(at::kLong))),
        furthest_(furthest()) {}

  at::Tensor edges() {
    const at::Tensor row_size = at::empty({count_}, options(at::kLong));
    find(row_size, nullptr, nullptr);
    const at::Tensor row_end = at::cumsum(row_size, 0);
    const auto edges = row_end[-1].item<std::int64_t>();
    if (edges > cuts_.max_edges) throw GraphTooLargeError(stages::kEmbedding, count_, cuts_.max_edges);
    at::Tensor pairs = at::empty({edges}, options(at::kLong));  // row · N + column
    if (edges > 0) {
      find(row_size, row_end, pairs);
      pairs = std::get<0>(at::sort(pairs));
    }
    return at::stack({at::floor_divide(pairs, count_), at::remainder(pairs, count_)});
  }

 private:
  [[nodiscard]] at::TensorOptions options(at::ScalarType type) const { return sorted_.points.options().dtype(type); }

  // `row_end` and `pairs`: tensors, or null to count alone.
  template <class Where>
  void find(const at::Tensor& row_size, const Where& row_end, const Where& pairs) const {
    const auto& [points, index, start, axes] = sorted_;
    find_edges(blocks_for(count_), stream_, points, index, count_, points.size(1), axes.dimension, axes.lower,
               axes.per_unit, axes.cells, start, cuts_.radius, furthest_, cuts_.max_edges, found_, row_size, row_end,
               pairs);
  }

  // [N] FP64 the largest d² that each point keeps: infinity where it has no more neighbours than it may keep.
  at::Tensor furthest() const {
    at::Tensor furthest = at::full({count_}, std::numeric_limits<double>::infinity(), options(at::kDouble));
    if (cuts_.max_neighbors >= count_ - 1) return furthest;
    const auto& [points, index, start, axes] = sorted_;
    const at::Tensor neighbours = at::empty({count_}, options(at::kInt));
    count_neighbours(blocks_for(count_), stream_, points, count_, points.size(1), axes.dimension, axes.lower,
                     axes.per_unit, axes.cells, start, cuts_.radius, cuts_.max_neighbors + 1, neighbours);
    const at::Tensor capped = at::nonzero(neighbours.gt(cuts_.max_neighbors)).view({-1}).to(at::kInt);
    find_furthest(capped.numel(), stream_, points, points.size(1), axes.dimension, axes.lower, axes.per_unit,
                  axes.cells, start, cuts_.radius, capped, capped.numel(), cuts_.max_neighbors, furthest,
                  cuts_.max_edges, found_);
    return furthest;
  }

  const WorkingPoint& cuts_;
  SortedPoints sorted_;
  std::int64_t count_;
  void* stream_;
  at::Tensor found_;  // [2] INT64 what the kernels have counted, to give a crowd up
  at::Tensor furthest_;
};

}  // namespace

void* current_stream(const at::Tensor& tensor) {
  if (tensor.is_cpu()) return nullptr;
  const c10::impl::VirtualGuardImpl device(tensor.device().type());
  return device.getStream(tensor.device()).native_handle();
}

at::Tensor fixed_radius_edges(const at::Tensor& embedding, const WorkingPoint& cuts) {
  check_finite(embedding, stages::kEmbedding);
  if (embedding.size(0) < 2) return at::empty({2, 0}, embedding.options().dtype(at::kLong));
  return EdgeSearch(embedding.contiguous(), cuts).edges();
}

}  // namespace exatrkx::gpu
