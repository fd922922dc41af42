// Points in the order of the cells of a grid: exatrkx/stages/cuda.py calls these in turn, before those of neighbours.cu.
//
// The host learns nothing of the points on the way: where they are, and the grid that suits them, is found here.
#include "grid.cuh"
#include "limit.cuh"
#include "threads.cuh"
#include "widened.cuh"

constexpr int kCellBits = 18;            // 2^18 cells at most, and as many along each axis
constexpr double kCellsPerRadius = 2.0;  // in small cells few points are looked at in vain; of smaller most are empty

// What is known of the points along one dimension. All starts as 0.
struct Extent {
  unsigned long long highest, lowest;  // as `ordered` numbers, the second of the negative coordinate
  double sum, sum_of_squares;          // of the differences to the first point

  __device__ double high() const { return coordinate(highest); }
  __device__ double low() const { return -coordinate(lowest); }
  __device__ double variance(int count) const { return sum_of_squares / count - (sum / count) * (sum / count); }

  // Numbers in the order of the coordinates, all above 0.
  __device__ static unsigned long long ordered(float coordinate) {
    const auto bits = static_cast<unsigned>(__float_as_int(coordinate));
    return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
  }

 private:
  __device__ static double coordinate(unsigned long long ordered) {
    const auto bits = static_cast<unsigned>(ordered);
    return widened(__int_as_float(static_cast<int>((bits & 0x80000000U) != 0 ? bits & 0x7fffffffU : ~bits)));
  }
};

// The extents, four words of each dimension, of points [count, dims]; each dimension is looked at in so many parts. An
// entry that is not finite uses up the limit: then nothing below looks at the points.
extern "C" __global__ void measure_points(const float* points, int count, int dims, int parts,
                                          unsigned long long* extents, unsigned long long* found) {
  const long long i = global_thread();
  if (i >= static_cast<long long>(parts) * dims) return;
  const auto k = static_cast<int>(i % dims);
  Extent part{0, 0, 0.0, 0.0};
  for (long long p = i / dims; p < count; p += parts) {
    const float coordinate = points[p * dims + k];
    const double difference = widened(coordinate) - widened(points[k]);
    if (difference - difference != 0.0) found[kEndsListed] = kUsedUp;
    const unsigned long long up = Extent::ordered(coordinate), down = Extent::ordered(-coordinate);
    part.highest = up > part.highest ? up : part.highest;
    part.lowest = down > part.lowest ? down : part.lowest;
    part.sum += difference;
    part.sum_of_squares += difference * difference;
  }
  Extent& whole = reinterpret_cast<Extent*>(extents)[k];
  atomicMax(&whole.highest, part.highest);
  atomicMax(&whole.lowest, part.lowest);
  atomicAdd(&whole.sum, part.sum);
  atomicAdd(&whole.sum_of_squares, part.sum_of_squares);
}

// The plan [4, kAxes] of a Grid over those dimensions in which the points are spread most. Cells are at least
// radius / kCellsPerRadius wide, so that the neighbours of a point are in few cells around its own.
extern "C" __global__ void plan_grid(const unsigned long long* extents, int count, int dims, double radius,
                                     double* plan) {
  if (global_thread() != 0) return;
  const auto* const extent = reinterpret_cast<const Extent*>(extents);
  const int axes = dims < kAxes ? dims : kAxes;
  for (int axis = 0; axis < kAxes; ++axis) {
    int widest = -1;
    for (int k = 0; k < dims && axis < axes; ++k) {
      bool taken = false;
      for (int other = 0; other < axis; ++other) taken = taken || plan[other] == k;
      const bool wider = widest < 0 || extent[k].variance(count) > extent[widest].variance(count);
      if (!taken && wider) widest = k;
    }
    const double low = widest < 0 ? 0.0 : extent[widest].low();
    const double length = widest < 0 ? 0.0 : extent[widest].high() - low;
    const double most = 1 << (kCellBits / axes);
    const double cells = fmin(fmax(floor(kCellsPerRadius * length / radius), 1.0), most);
    plan[axis] = widest < 0 ? 0 : widest;
    plan[kAxes + axis] = low;
    plan[2 * kAxes + axis] = cells > 1.0 ? cells / length : 0.0;
    plan[3 * kAxes + axis] = cells;
  }
}

// The cell of each point, and its place there. size [cells + 1] counts them, those of a cell behind it: its running sum
// is where cells start. It starts as 0.
extern "C" __global__ void find_cells(const float* points, int count, int dims, const double* plan, int* cell,
                                      int* place, int* size) {
  const long long p = global_thread();
  if (p >= count) return;
  cell[p] = Grid(plan).cell_of(points + p * dims);
  place[p] = atomicAdd(&size[cell[p] + 1], 1);
}

// The points in the order of their cells, in any order within one; `index` is the spacepoint that each of them is.
extern "C" __global__ void sort_points(const float* points, int count, int dims, const int* cell, const int* place,
                                       const int* start, float* sorted, int* index) {
  const long long p = global_thread();
  if (p >= count) return;
  const int q = start[cell[p]] + place[p];
  index[q] = static_cast<int>(p);
  for (int k = 0; k < dims; ++k) sorted[static_cast<long long>(q) * dims + k] = points[p * dims + k];
}
