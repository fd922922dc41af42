// Fixed-radius neighbours: exatrkx/stages/neighbours.py says what the graph is, exatrkx/stages/cuda.py calls these in turn.
//
// `points` [count, dims] are in the order of their cells, `index` holds the spacepoint that each of them is.
#include "distance.cuh"
#include "grid.cuh"

__device__ inline int global_thread() { return static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); }

// The cell of each point.
extern "C" __global__ void find_cells(const float* points, int count, int dims, const int* dimension,
                                      const double* lower, const double* per_unit, const int* cells, int* cell) {
  const int p = global_thread();
  if (p >= count) return;
  cell[p] = Grid{dimension, lower, per_unit, cells}.cell_of(points + static_cast<long long>(p) * dims);
}

// How many points are within the radius of each.
extern "C" __global__ void count_neighbours(const float* points, int count, int dims, const int* dimension,
                                            const double* lower, const double* per_unit, const int* cells,
                                            const long long* start, double radius, int* neighbours) {
  const int p = global_thread();
  if (p >= count) return;
  const Grid grid{dimension, lower, per_unit, cells};
  const Within within(radius, dims);
  const float* point = points + static_cast<long long>(p) * dims;
  int found = 0;
  for_each_near(grid, start, point, radius, 0, 1, [&](int q) {
    found += q != p && within(point, points + static_cast<long long>(q) * dims);
  });
  neighbours[p] = found;
}

// The `max_neighbors`-th smallest d² of the points that have more neighbours than that, one block each: a radix
// select, eight bits at a time, that needs no memory for the distances (a d² is positive, and so ordered as its bits).
extern "C" __global__ void find_furthest(const float* points, int dims, const int* dimension, const double* lower,
                                         const double* per_unit, const int* cells, const long long* start,
                                         double radius, const int* capped, int num_capped, int max_neighbors,
                                         double* furthest) {
  if (blockIdx.x >= num_capped) return;
  const Grid grid{dimension, lower, per_unit, cells};
  const double radius_squared = __dmul_rn(radius, radius);
  const Within within(radius, dims);
  const int p = capped[blockIdx.x];
  const float* point = points + static_cast<long long>(p) * dims;
  __shared__ int histogram[256];
  __shared__ unsigned long long prefix;
  __shared__ int rank;
  if (threadIdx.x == 0) {
    prefix = 0;
    rank = max_neighbors;
  }
  for (int shift = 56; shift >= 0; shift -= 8) {
    for (int bin = threadIdx.x; bin < 256; bin += blockDim.x) histogram[bin] = 0;
    __syncthreads();
    const unsigned long long known = shift == 56 ? 0 : ~0ULL << (shift + 8);
    for_each_near(grid, start, point, radius, threadIdx.x, blockDim.x, [&](int q) {
      const float* other = points + static_cast<long long>(q) * dims;
      if (q == p || !within(point, other)) return;
      const auto bits = static_cast<unsigned long long>(__double_as_longlong(exact_squared(point, other, dims)));
      if ((bits & known) == prefix) atomicAdd(&histogram[(bits >> shift) & 255], 1);
    });
    __syncthreads();
    if (threadIdx.x == 0) {
      int bin = 0;
      while (rank > histogram[bin]) rank -= histogram[bin++];
      prefix |= static_cast<unsigned long long>(bin) << shift;
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) furthest[p] = __longlong_as_double(static_cast<long long>(prefix));
}

// The number of edges in each spacepoint's row, or, with somewhere to put them, the edges as row · count + column.
extern "C" __global__ void find_edges(const float* points, const int* index, int count, int dims, const int* dimension,
                                      const double* lower, const double* per_unit, const int* cells,
                                      const long long* start, double radius, const double* furthest,
                                      long long* row_size, const long long* row_end, long long* edges) {
  const int p = global_thread();
  if (p >= count) return;
  const Grid grid{dimension, lower, per_unit, cells};
  const Within within(radius, dims);
  const float* point = points + static_cast<long long>(p) * dims;
  const int row = index[p];
  long long found = 0;
  for_each_near(grid, start, point, radius, 0, 1, [&](int q) {
    const int column = index[q];
    if (column >= row) return;
    const double reach = fmax(furthest[p], furthest[q]);
    if (!within(point, points + static_cast<long long>(q) * dims, reach)) return;
    ++found;
    if (edges != nullptr) edges[row_end[row] - found] = static_cast<long long>(row) * count + column;
  });
  if (edges == nullptr) row_size[row] = found;
}
