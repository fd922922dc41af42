#include "grid.hpp"

#include <ATen/ops/amax.h>
#include <ATen/ops/amin.h>
#include <ATen/ops/bincount.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "graph.hpp"
#include "kernels.hpp"

namespace exatrkx::gpu {

namespace {

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

}  // namespace

SortedPoints sort_into_cells(const at::Tensor& embedding, double radius) {
  const std::int64_t count = embedding.size(0);
  const c10::Device device = embedding.device();
  Plan plan = plan_for(on_host(at::amin(embedding, 0)), on_host(at::amax(embedding, 0)), radius);
  const Axes axes{on_device(plan.dimension, at::kInt, device), on_device(plan.lower, at::kDouble, device),
                  on_device(plan.per_unit, at::kDouble, device), on_device(plan.cells, at::kInt, device)};
  const at::Tensor cell = at::empty({count}, embedding.options().dtype(at::kInt));
  find_cells(blocks_for(count), current_stream(embedding), embedding.const_data_ptr<float>(), static_cast<int>(count),
             static_cast<int>(embedding.size(1)), axes.dimension.const_data_ptr<int>(),
             axes.lower.const_data_ptr<double>(), axes.per_unit.const_data_ptr<double>(),
             axes.cells.const_data_ptr<int>(), cell.mutable_data_ptr<int>());
  const at::Tensor order = std::get<1>(at::sort(cell));  // [N] INT64
  const std::int64_t cells = std::int64_t{plan.cells[0]} * plan.cells[1] * plan.cells[2];
  const at::Tensor start = at::zeros({cells + 1}, embedding.options().dtype(at::kLong));
  start.narrow(0, 1, cells).copy_(at::cumsum(at::bincount(cell, {}, cells), 0));
  return {embedding.index_select(0, order), order.to(at::kInt), start, axes};
}

}  // namespace exatrkx::gpu
