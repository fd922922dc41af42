// Fixed-radius neighbours: exatrkx/stages/edges.py says what the graph is, exatrkx/stages/cuda.py calls these in turn.
//
// `points` [count, dims] are in the order of their cells, `index` holds the spacepoint that each of them is, `plan` is
// that of a Grid. Every pair of near points is looked at once for all: with most points the few that are within the
// radius are listed, and edges are made of the lists.
#include "distance.cuh"
#include "grid.cuh"
#include "threads.cuh"

constexpr int kLanes = 8;                            // threads that share a point
constexpr unsigned long long kCountedAtOnce = 128;  // edges of a row that one of them has found

// The cell of each point.
extern "C" __global__ void find_cells(const float* points, int count, int dims, const double* plan, int* cell) {
  const long long p = global_thread();
  if (p < count) cell[p] = Grid(plan).cell_of(points + p * dims);
}

// A crowd of points has more edges than memory, and takes forever to look at: `found` counts on the way, so that a
// graph with more than `max_edges` edges is given up soon. found[0]: edges at their ends, so each up to twice;
// found[1]: edges.
__device__ inline bool too_many(const unsigned long long* found, long long max_edges) {
  const volatile unsigned long long* now = found;
  const auto most = static_cast<unsigned long long>(max_edges);
  return now[0] / 2 > most || now[1] > most;
}

// How many points are within the radius of each, and the spacepoints that the first `capacity` of them are, in any
// order: near [count, capacity]. Not much further is counted than to `most`. `neighbours` starts as 0.
extern "C" __global__ void list_neighbours(const float* points, const int* index, int count, int dims,
                                           const double* plan, const long long* start, double radius, int most,
                                           int capacity, int* neighbours, int* near) {
  const long long p = global_thread() / kLanes;
  if (p >= count) return;
  const Within within(radius, dims);
  const float* point = points + p * dims;
  for_each_near(Grid(plan), start, point, radius, static_cast<int>(global_thread() % kLanes), kLanes, [&](int q) {
    if (q == p || !within(point, points + static_cast<long long>(q) * dims)) return true;
    const int place = atomicAdd(&neighbours[p], 1);
    if (place < capacity) near[p * capacity + place] = index[q];
    return place + 1 < most;
  });
}

// The `max_neighbors`-th smallest d² of the points that have more neighbours than that, a block for one after the
// other: a radix select, eight bits at a time, that needs no memory for the distances (a d² is positive, and so
// ordered as its bits). `furthest` starts as infinity.
extern "C" __global__ void find_furthest(const float* points, int count, int dims, const double* plan,
                                         const long long* start, double radius, const int* neighbours,
                                         int max_neighbors, double* furthest, long long max_edges,
                                         unsigned long long* found) {
  const Grid grid(plan);
  const Within within(radius, dims);
  __shared__ int histogram[256];
  __shared__ unsigned long long prefix;
  __shared__ int rank, within_it;
  __shared__ bool given_up;
  for (int p = blockIdx.x; p < count; p += gridDim.x) {
    if (neighbours[p] <= max_neighbors) continue;
    const float* point = points + static_cast<long long>(p) * dims;
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
    __syncthreads();
  }
}

// The number of edges in each spacepoint's row, added to `row`, or, with somewhere to put them, the edges as
// row · count + column, in any order within a row: `row` is then where each begins, and will be where it ends. Where
// the graph is given up, the numbers are those found so far, and their sum is more than `max_edges` all the same.
extern "C" __global__ void find_edges(const float* points, const int* index, int count, int dims, const double* plan,
                                      const long long* start, double radius, const double* furthest, int capacity,
                                      const int* neighbours, const int* near, long long max_edges,
                                      unsigned long long* found, unsigned long long* row, long long* edges) {
  const long long p = global_thread() / kLanes;
  const int lane = static_cast<int>(global_thread() % kLanes);
  if (p >= count) return;
  if (edges == nullptr && too_many(found, max_edges)) {
    if (p == 0 && lane == 0) atomicAdd(&row[0], static_cast<unsigned long long>(max_edges) + 1);
    return;
  }
  const int own = index[p];
  unsigned long long in_row = 0;
  const auto keep = [&](int column) {
    if (edges != nullptr) edges[atomicAdd(&row[own], 1ULL)] = static_cast<long long>(own) * count + column;
    ++in_row;
  };
  if (neighbours[p] <= capacity) {  // all of them are listed, and none is too far: a point with so few keeps all
    for (int i = lane; i < neighbours[p]; i += kLanes) {
      const int column = near[p * capacity + i];
      if (column < own) keep(column);
    }
  } else {
    const Within within(radius, dims);
    const float* point = points + p * dims;
    for_each_near(Grid(plan), start, point, radius, lane, kLanes, [&](int q) {
      const int column = index[q];
      if (column >= own) return true;
      const double reach = fmax(furthest[p], furthest[q]);
      if (!within(point, points + static_cast<long long>(q) * dims, reach)) return true;
      keep(column);
      if (edges != nullptr || in_row % kCountedAtOnce != 0) return true;
      atomicAdd(&found[1], kCountedAtOnce);
      return !too_many(found, max_edges);
    });
  }
  if (edges == nullptr && in_row > 0) atomicAdd(&row[own], in_row);
}

// Edges row · count + column as [2, num_edges].
extern "C" __global__ void split_edges(const long long* edges, long long num_edges, int count, long long* edge_index) {
  const long long e = global_thread();
  if (e >= num_edges) return;
  edge_index[e] = edges[e] / count;
  edge_index[num_edges + e] = edges[e] % count;
}
