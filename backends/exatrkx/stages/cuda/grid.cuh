// Uniform grid over three dimensions of the points, and the walk over the cells near one of them.
#pragma once

constexpr int kAxes = 3;

// Along each axis: which dimension it is, where the first cell starts, cells per unit of length, and their number. An
// axis with one cell, with 0 for `per_unit`, is no axis at all. Cells are numbered with the last axis fastest.
struct Grid {
  int dimension[kAxes], cells[kAxes];
  double lower[kAxes], per_unit[kAxes];

  // `plan`: [4, kAxes] dimensions, lower edges, cells per unit, cells.
  __device__ explicit Grid(const double* plan) {
    for (int axis = 0; axis < kAxes; ++axis) {
      dimension[axis] = static_cast<int>(plan[axis]);
      lower[axis] = plan[kAxes + axis];
      per_unit[axis] = plan[2 * kAxes + axis];
      cells[axis] = static_cast<int>(plan[3 * kAxes + axis]);
    }
  }

  // Monotonic in `coordinate`, whatever is rounded.
  __device__ int cell_along(int axis, double coordinate) const {
    const double cell = floor(__dmul_rn(__dsub_rn(coordinate, lower[axis]), per_unit[axis]));
    return static_cast<int>(fmin(fmax(cell, 0.0), static_cast<double>(cells[axis] - 1)));
  }

  __device__ int cell_of(const float* point) const {
    int cell = 0;
    for (int axis = 0; axis < kAxes; ++axis) cell = cell * cells[axis] + cell_along(axis, point[dimension[axis]]);
    return cell;
  }
};

// visit(q) for the positions q, from `first` in steps of `step`, of all points in cells that the radius reaches, until
// it returns false. Points lie in the order of their cells; those of cell c are at start[c] … start[c + 1] - 1.
template <class Visit>
__device__ void for_each_near(const Grid& grid, const int* start, const float* point, double radius, int first,
                              int step, Visit visit) {
  const double reach = radius * (1.0 + 1e-9);  // what rounding can add to a difference is far less
  int low[kAxes], high[kAxes];
  for (int axis = 0; axis < kAxes; ++axis) {
    const double coordinate = point[grid.dimension[axis]];
    low[axis] = grid.cell_along(axis, __dsub_rn(coordinate, reach));
    high[axis] = grid.cell_along(axis, __dadd_rn(coordinate, reach));
  }
  for (int i = low[0]; i <= high[0]; ++i) {
    for (int j = low[1]; j <= high[1]; ++j) {
      const int row = (i * grid.cells[1] + j) * grid.cells[2];
      const int end = start[row + high[2] + 1];
      for (int q = start[row + low[2]] + first; q < end; q += step) {
        if (!visit(q)) return;
      }
    }
  }
}
