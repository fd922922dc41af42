// Fixed-radius neighbours: exatrkx/stages/edges.py says what the graph is, exatrkx/stages/cuda.py calls these in turn.
//
// `points` [count, dims] are in the order of their cells, `index` holds the spacepoint that each of them is.
#include "distance.cuh"
#include "grid.cuh"
#include "threads.cuh"

constexpr unsigned long long kCountedAtOnce = 1024;  // edges of a row

// The cell of each point.
extern "C" __global__ void find_cells(const float* points, int count, int dims, const int* dimension,
                                      const double* lower, const double* per_unit, const int* cells, int* cell) {
  const auto p = static_cast<int>(global_thread());
  if (p >= count) return;
  cell[p] = Grid{dimension, lower, per_unit, cells}.cell_of(points + static_cast<long long>(p) * dims);
}

// A crowd of points has more edges than memory, and takes forever to look at: `found` counts on the way, so that a
// graph with more than `max_edges` edges is given up soon. found[0]: edges at their ends, so each up to twice;
// found[1]: edges.
__device__ inline bool too_many(const unsigned long long* found, long long max_edges) {
  const volatile unsigned long long* now = found;
  const auto most = static_cast<unsigned long long>(max_edges);
  return now[0] / 2 > most || now[1] > most;
}

// How many points are within the radius of each; counted up to `most`.
extern "C" __global__ void count_neighbours(const float* points, int count, int dims, const int* dimension,
                                            const double* lower, const double* per_unit, const int* cells,
                                            const long long* start, double radius, int most, int* neighbours) {
  const auto p = static_cast<int>(global_thread());
  if (p >= count) return;
  const Grid grid{dimension, lower, per_unit, cells};
  const Within within(radius, dims);
  const float* point = points + static_cast<long long>(p) * dims;
  int found = 0;
  for_each_near(grid, start, point, radius, 0, 1, [&](int q) {
    found += q != p && within(point, points + static_cast<long long>(q) * dims);
    return found < most;
  });
  neighbours[p] = found;
}

// The `max_neighbors`-th smallest d² of the points that have more neighbours than that, one block each: a radix
// select, eight bits at a time, that needs no memory for the distances (a d² is positive, and so ordered as its bits).
extern "C" __global__ void find_furthest(const float* points, int dims, const int* dimension, const double* lower,
                                         const double* per_unit, const int* cells, const long long* start,
                                         double radius, const int* capped, int num_capped, int max_neighbors,
                                         double* furthest, long long max_edges, unsigned long long* found) {
  if (blockIdx.x >= num_capped) return;
  const Grid grid{dimension, lower, per_unit, cells};
  const double radius_squared = __dmul_rn(radius, radius);
  const Within within(radius, dims);
  const int p = capped[blockIdx.x];
  const float* point = points + static_cast<long long>(p) * dims;
  __shared__ int histogram[256];
  __shared__ unsigned long long prefix;
  __shared__ int rank, within_it;
  __shared__ bool given_up;
  if (threadIdx.x == 0) {
    prefix = 0;
    rank = max_neighbors;
    given_up = too_many(found, max_edges);
  }
  __syncthreads();
  if (given_up) return;
  for (int shift = 56; shift >= 0; shift -= 8) {
    for (int bin = threadIdx.x; bin < 256; bin += blockDim.x) histogram[bin] = 0;
    __syncthreads();
    const unsigned long long known = shift == 56 ? 0 : ~0ULL << (shift + 8);
    for_each_near(grid, start, point, radius, threadIdx.x, blockDim.x, [&](int q) {
      const float* other = points + static_cast<long long>(q) * dims;
      if (q == p || !within(point, other)) return true;
      const auto bits = static_cast<unsigned long long>(__double_as_longlong(exact_squared(point, other, dims)));
      if ((bits & known) == prefix) atomicAdd(&histogram[(bits >> shift) & 255], 1);
      return true;
    });
    __syncthreads();
    if (threadIdx.x == 0) {
      int bin = 0;
      while (rank > histogram[bin]) rank -= histogram[bin++];
      prefix |= static_cast<unsigned long long>(bin) << shift;
      within_it = max_neighbors - rank + histogram[bin];  // in the end the points at or below it, ties included
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) {
    furthest[p] = __longlong_as_double(static_cast<long long>(prefix));
    atomicAdd(&found[0], static_cast<unsigned long long>(within_it));
  }
}

// The number of edges in each spacepoint's row, or, with somewhere to put them, the edges as row · count + column.
// Where the graph is given up, the numbers are those found so far, and their sum is more than `max_edges` all the
// same.
extern "C" __global__ void find_edges(const float* points, const int* index, int count, int dims, const int* dimension,
                                      const double* lower, const double* per_unit, const int* cells,
                                      const long long* start, double radius, const double* furthest,
                                      long long max_edges, unsigned long long* found, long long* row_size,
                                      const long long* row_end, long long* edges) {
  const auto p = static_cast<int>(global_thread());
  if (p >= count) return;
  const Grid grid{dimension, lower, per_unit, cells};
  const Within within(radius, dims);
  const float* point = points + static_cast<long long>(p) * dims;
  const int row = index[p];
  long long in_row = 0;
  if (edges == nullptr && too_many(found, max_edges)) {
    row_size[row] = p == 0 ? max_edges + 1 : 0;
    return;
  }
  for_each_near(grid, start, point, radius, 0, 1, [&](int q) {
    const int column = index[q];
    if (column >= row) return true;
    const double reach = fmax(furthest[p], furthest[q]);
    if (!within(point, points + static_cast<long long>(q) * dims, reach)) return true;
    ++in_row;
    if (edges != nullptr) edges[row_end[row] - in_row] = static_cast<long long>(row) * count + column;
    if (edges != nullptr || in_row % kCountedAtOnce != 0) return true;
    atomicAdd(&found[1], kCountedAtOnce);
    return !too_many(found, max_edges);
  });
  if (edges == nullptr) row_size[row] = in_row;
}
