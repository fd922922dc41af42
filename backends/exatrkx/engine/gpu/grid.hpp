// A grid over the points of an embedding, as exatrkx/stages/cuda.py lays it.
#pragma once

#include <ATen/core/Tensor.h>

namespace exatrkx::gpu {

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

// `embedding` [N,D] FP32, N ≥ 1, contiguous. Cells are at least `radius` wide: neighbours are in the same cell or the
// ones beside it.
[[nodiscard]] SortedPoints sort_into_cells(const at::Tensor& embedding, double radius);

}  // namespace exatrkx::gpu
