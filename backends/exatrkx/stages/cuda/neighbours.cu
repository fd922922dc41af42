// Fixed-radius neighbours: exatrkx/stages/edges.py says what the graph is, exatrkx/stages/cuda.py calls these in turn.
//
// `points` [count, dims] are in the order of their cells, `index` holds the spacepoint that each of them is, `plan` is
// that of a Grid. Pairs of near points are looked at once for all: with most points the few that they keep are listed,
// and edges are made of the lists.
#include "distance.cuh"
#include "grid.cuh"
#include "limit.cuh"
#include "threads.cuh"

constexpr int kLanes = 8;                           // threads that share a point
constexpr unsigned long long kCountedAtOnce = 128;  // edges of a row that one of them has found
constexpr int kMostRanked = 1024;                   // neighbours of a point that fit into the memory of a block

__device__ inline double infinity() { return __longlong_as_double(0x7ff0000000000000); }

// How many points are within the radius of each, and the first `capacity` of them, in any order: near [count, capacity].
// Little further is counted than to `most`, which all may keep. `neighbours` starts as 0; `furthest` becomes infinity.
extern "C" __global__ void list_neighbours(const float* points, int count, int dims, const double* plan,
                                           const int* start, double radius, int most, int capacity, int* neighbours,
                                           int* near, double* furthest, long long max_edges,
                                           unsigned long long* found) {
  const long long p = global_thread() / kLanes;
  const int lane = static_cast<int>(global_thread() % kLanes);
  if (p >= count || too_many(found, max_edges)) return;
  if (lane == 0) furthest[p] = infinity();
  const Within within(radius, dims);
  const float* point = points + p * dims;
  for_each_near(Grid(plan), start, point, radius, lane, kLanes, [&](int q) {
    if (q == p || !within(point, points + static_cast<long long>(q) * dims)) return true;
    const int place = atomicAdd(&neighbours[p], 1);
    if (place < capacity) near[p * capacity + place] = q;
    if (place + 1 == most) atomicAdd(&found[kEndsListed], static_cast<unsigned long long>(most));
    return place < most;
  });
}

// The neighbours of a point, in the memory of its block, whose threads call each function together.
struct Ranked {
  unsigned long long squared[kMostRanked];  // bits of d²: it is positive, and so ordered as they are
  unsigned long long furthest;
  int position[kMostRanked];
  int listed, kept;

  __device__ void clear() {
    if (threadIdx.x == 0) {
      furthest = 0;
      listed = kept = 0;
    }
    __syncthreads();
  }

  __device__ void add(int q, unsigned long long bits) {
    const int place = atomicAdd(&listed, 1);
    if (place >= kMostRanked) return;
    squared[place] = bits;
    position[place] = q;
  }

  // Keeps those than which fewer than `max_neighbors` are closer, and lists the first `capacity` of them.
  __device__ void keep(int max_neighbors, int capacity, int* near) {
    for (int i = threadIdx.x; i < listed; i += blockDim.x) {
      int closer = 0;
      for (int k = 0; k < listed; ++k) closer += squared[k] < squared[i];
      if (closer >= max_neighbors) continue;
      const int place = atomicAdd(&kept, 1);
      if (place < capacity) near[place] = position[i];
      atomicMax(&furthest, squared[i]);
    }
    __syncthreads();
  }
};

// The `max_neighbors`-th smallest d² of a point that has more neighbours than fit into `ranked`: a radix select, eight
// bits at a time, that needs no memory for the distances but looks for them anew each time.
template <class ForEachNeighbour>
__device__ void select_furthest(Ranked& ranked, int max_neighbors, ForEachNeighbour for_each_neighbour) {
  __shared__ int histogram[256];
  int rank = max_neighbors;
  for (int shift = 56; shift >= 0; shift -= 8) {
    for (int bin = threadIdx.x; bin < 256; bin += blockDim.x) histogram[bin] = 0;
    __syncthreads();
    const unsigned long long known = shift == 56 ? 0 : ~0ULL << (shift + 8), prefix = ranked.furthest;
    for_each_neighbour([&](int /*q*/, unsigned long long bits) {
      if ((bits & known) == prefix) atomicAdd(&histogram[(bits >> shift) & 255], 1);
    });
    __syncthreads();
    if (threadIdx.x == 0) {
      int bin = 0;
      while (rank > histogram[bin]) rank -= histogram[bin++];
      ranked.furthest |= static_cast<unsigned long long>(bin) << shift;
      ranked.kept = max_neighbors - rank + histogram[bin];  // in the end those at or below it, ties included
    }
    __syncthreads();
  }
}

// How far the points look that have more neighbours than they may keep: the `max_neighbors`-th smallest d². A block for
// one after the other. Those that they keep are listed, where `capacity` allows that.
extern "C" __global__ void find_furthest(const float* points, int count, int dims, const double* plan,
                                         const int* start, double radius, int max_neighbors, int capacity,
                                         int* neighbours, int* near, double* furthest, long long max_edges,
                                         unsigned long long* found) {
  const Grid grid(plan);
  const Within within(radius, dims);
  __shared__ Ranked ranked;
  __shared__ bool given_up;
  for (int p = blockIdx.x; p < count; p += gridDim.x) {
    if (neighbours[p] <= max_neighbors) continue;
    const float* point = points + static_cast<long long>(p) * dims;
    const auto for_each_neighbour = [&](auto visit) {
      for_each_near(grid, start, point, radius, threadIdx.x, blockDim.x, [&](int q) {
        const float* other = points + static_cast<long long>(q) * dims;
        if (q == p || !within(point, other)) return true;
        visit(q, static_cast<unsigned long long>(__double_as_longlong(exact_squared(point, other, dims))));
        return true;
      });
    };
    if (threadIdx.x == 0) given_up = too_many(found, max_edges);
    ranked.clear();
    if (given_up) return;
    for_each_neighbour([&](int q, unsigned long long bits) { ranked.add(q, bits); });
    __syncthreads();
    const bool fits = ranked.listed <= kMostRanked;
    if (fits) {
      ranked.keep(max_neighbors, capacity, near + static_cast<long long>(p) * capacity);
    } else {
      select_furthest(ranked, max_neighbors, for_each_neighbour);
    }
    if (threadIdx.x == 0) {
      furthest[p] = __longlong_as_double(static_cast<long long>(ranked.furthest));
      if (fits) neighbours[p] = ranked.kept;  // else it stays above `capacity`, since they are not listed
      atomicAdd(&found[kEndsKept], static_cast<unsigned long long>(ranked.kept));
    }
    __syncthreads();
  }
}

// Where edges go: the number of those of each row, or, with somewhere to put them, the edges as row · count + column,
// in any order within a row.
struct Rows {
  long long count;
  unsigned long long* size;        // [count] counts up, and down again while the edges are written
  const unsigned long long* end;   // [count] its running sum
  long long* edges;                // null while they are counted

  __device__ void add(int row, int column) const {
    if (edges == nullptr) {
      atomicAdd(&size[row], 1ULL);
    } else {
      edges[end[row] - atomicAdd(&size[row], ~0ULL)] = row * count + column;
    }
  }
};

// The edges of the pairs that each point keeps. Of a pair that both keep, the larger spacepoint tells; a point whose
// neighbours are not all listed tells of all pairs in which it is the larger one. Where the graph is given up, the
// numbers are those found so far, and their sum is more than `max_edges` all the same.
extern "C" __global__ void find_edges(const float* points, const int* index, int count, int dims, const double* plan,
                                      const int* start, double radius, int capacity, const int* neighbours,
                                      const int* near, const double* furthest, long long max_edges,
                                      unsigned long long* found, unsigned long long* row_size,
                                      const unsigned long long* row_end, long long* edges) {
  const long long p = global_thread() / kLanes;
  const int lane = static_cast<int>(global_thread() % kLanes);
  if (p >= count) return;
  const Rows rows{count, row_size, row_end, edges};
  if (edges == nullptr && too_many(found, max_edges)) {
    if (p == 0 && lane == 0) atomicAdd(&row_size[0], static_cast<unsigned long long>(max_edges) + 1);
    return;
  }
  const float* point = points + p * dims;
  const int own = index[p];
  // Of a pair that this point keeps: whether the other one, the larger spacepoint, tells of it too.
  const auto is_told = [&](int q, const float* other) {
    if (neighbours[q] > capacity) return true;
    const double reach = furthest[q];
    return reach == infinity() || exact_squared(point, other, dims) <= reach;
  };
  if (neighbours[p] <= capacity) {
    for (int i = lane; i < neighbours[p]; i += kLanes) {
      const int q = near[p * capacity + i];
      if (index[q] < own) {
        rows.add(own, index[q]);
      } else if (!is_told(q, points + static_cast<long long>(q) * dims)) {
        rows.add(index[q], own);
      }
    }
    return;
  }
  const Within within(radius, dims);
  unsigned long long added = 0;
  for_each_near(Grid(plan), start, point, radius, lane, kLanes, [&](int q) {
    const float* other = points + static_cast<long long>(q) * dims;
    if (index[q] < own) {
      if (!within(point, other, fmax(furthest[p], furthest[q]))) return true;
      rows.add(own, index[q]);
    } else {
      if (q == p || !within(point, other, furthest[p]) || is_told(q, other)) return true;
      rows.add(index[q], own);
    }
    if (edges != nullptr || ++added % kCountedAtOnce != 0) return true;
    atomicAdd(&found[kEdgesCounted], kCountedAtOnce);
    return !too_many(found, max_edges);
  });
}

// Edges in the order of their rows, each row's in any order, as [2, num_edges] in order: an edge's place in its row is
// the number of smaller ones there.
extern "C" __global__ void order_edges(const long long* edges, long long num_edges, int count,
                                       const unsigned long long* row_end, long long* edge_index) {
  const long long e = global_thread();
  if (e >= num_edges) return;
  const long long edge = edges[e], row = edge / count;
  const auto begin = static_cast<long long>(row == 0 ? 0 : row_end[row - 1]);
  const auto end = static_cast<long long>(row_end[row]);
  long long place = begin;
  for (long long other = begin; other < end; ++other) place += edges[other] < edge;
  edge_index[place] = row;
  edge_index[num_edges + place] = edge - row * count;
}
