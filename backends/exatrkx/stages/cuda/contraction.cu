// Greedy additive edge contraction: exatrkx/stages/track_building.py says what it does, and calls
// these in turn, after those of components.cu.
//
// A component without an edge against it is a cluster as it is. Of the others most are small: each is decided by one
// block, on the matrix of the weights between its clusters. Those with more than kMostNodes spacepoints, or with more
// than two edges between the same two, whose order would matter to their sum, are left to the CPU.
#include "scored_edges.cuh"

constexpr int kMostNodes = 64;
constexpr int kMostThreads = 128;  // of a block

// Of each component, at its root: the number of edges inside, and whether one of them is against it. Both start as 0.
extern "C" __global__ void find_disputed(const long long* edge_index, const float* scores, long long edges,
                                         float threshold, const int* state, const int* root,
                                         unsigned long long* inside, int* disputed) {
  const ScoredEdges graph{edge_index, scores, edges};
  const long long e = global_thread();
  if (e >= edges || state[kBad] != 0) return;
  const int a = graph.row(e), b = graph.column(e);
  if (a == b || root[a] != root[b]) return;
  atomicAdd(&inside[root[a]], 1ULL);
  if (!graph.above(e, threshold)) disputed[root[a]] = 1;
}

// The disputed components that are small enough, in any order, and room for the spacepoints and edges of each; they
// become 2 in `disputed`. The last entry of `edge_end` counts edges, and starts as 0.
extern "C" __global__ void list_disputed(int num_nodes, const int* root, const int* size,
                                         const unsigned long long* inside, int* disputed, int* state, int* listed,
                                         int* member_end, unsigned long long* edge_end) {
  const long long node = global_thread();
  if (node >= num_nodes || root[node] != node || disputed[node] == 0) return;
  if (size[node] > kMostNodes) {
    atomicAdd(&state[kLeft], 1);
    return;
  }
  listed[atomicAdd(&state[kListed], 1)] = static_cast<int>(node);
  member_end[node] = atomicAdd(&state[kMembers], size[node]);
  edge_end[node] = atomicAdd(&edge_end[num_nodes], inside[node]);
  disputed[node] = 2;
}

// The spacepoints and edges of the listed components, in any order.
extern "C" __global__ void gather_disputed(const long long* edge_index, const float* scores, long long edges,
                                           int num_nodes, const int* state, const int* root, const int* disputed,
                                           int* member_end, int* members, unsigned long long* edge_end,
                                           long long* edge_list) {
  const ScoredEdges graph{edge_index, scores, edges};
  const long long i = global_thread();
  if (state[kListed] == 0) return;
  if (i < num_nodes && disputed[root[i]] == 2) members[atomicAdd(&member_end[root[i]], 1)] = static_cast<int>(i);
  if (i >= edges) return;
  const int a = graph.row(i), b = graph.column(i);
  if (a == b || root[a] != root[b] || disputed[root[a]] != 2) return;
  edge_list[atomicAdd(&edge_end[root[a]], 1ULL)] = i;
}

struct Join {
  double weight;
  int a, b;  // a < b

  // The largest weight first; where there are several, that of the smallest nodes.
  __device__ bool before(const Join& other) const {
    if (weight != other.weight) return weight > other.weight;
    return a != other.a ? a < other.a : b < other.b;
  }
};

// A component in the memory of a block, whose threads call each function together.
struct Component {
  int nodes;
  int* node;       // [nodes] spacepoints in ascending order: from here on they are called by their places
  int* cluster;    // [nodes] the smallest node of the cluster that each is in
  double* weight;  // [nodes, nodes] between clusters, at the smallest node of each; 0 elsewhere
  Join* best;      // [threads]

  __device__ void clear(const int* members) const {
    for (int i = threadIdx.x; i < nodes * nodes; i += blockDim.x) weight[i] = 0.0;
    for (int i = threadIdx.x; i < nodes; i += blockDim.x) {
      int place = 0;
      for (int k = 0; k < nodes; ++k) place += members[k] < members[i];
      node[place] = members[i];
      cluster[place] = place;
    }
    __syncthreads();
  }

  __device__ int place_of(int member) const {
    int low = 0;
    for (int high = nodes - 1; low < high;) {
      const int middle = (low + high) / 2;
      if (node[middle] < member) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low;
  }

  // Weights above the diagonal, the number of edges below.
  __device__ void add(const ScoredEdges& graph, const long long* first, const long long* last, float threshold) const {
    constexpr double kLargestWeight = 1e6;  // as in ../contraction.hpp
    for (const long long* e = first + threadIdx.x; e < last; e += blockDim.x) {
      const int a = place_of(graph.row(*e)), b = place_of(graph.column(*e));
      const int low = a < b ? a : b, high = a < b ? b : a;
      const double sum = __dsub_rn(widened(graph.scores[*e]), widened(threshold));
      atomicAdd(&weight[low * nodes + high], fmin(fmax(sum, -kLargestWeight), kLargestWeight));
      atomicAdd(&weight[high * nodes + low], 1.0);
    }
    __syncthreads();
  }

  // Makes the matrix symmetrical; false where an entry is a sum whose order matters.
  __device__ bool mirror() const {
    bool exact = true;
    for (int i = threadIdx.x; i < nodes * nodes; i += blockDim.x) {
      const int row = i / nodes, column = i % nodes;
      if (row <= column) continue;
      exact = exact && weight[i] <= 2.0;
      weight[i] = weight[column * nodes + row];
    }
    return __syncthreads_and(exact) != 0;
  }

  __device__ Join best_join() const {
    Join mine{0.0, nodes, nodes};
    for (int b = threadIdx.x; b < nodes; b += blockDim.x) {
      for (int a = 0; a < b; ++a) {
        const Join join{weight[a * nodes + b], a, b};
        if (join.before(mine)) mine = join;
      }
    }
    best[threadIdx.x] = mine;
    __syncthreads();
    const int thread = threadIdx.x;
    for (int count = blockDim.x; count > 1;) {
      const int half = (count + 1) / 2;
      if (thread + half < count && best[thread + half].before(best[thread])) best[thread] = best[thread + half];
      __syncthreads();
      count = half;
    }
    return best[0];
  }

  // Cluster b becomes part of cluster a.
  __device__ void contract(int a, int b) const {
    for (int c = threadIdx.x; c < nodes; c += blockDim.x) {
      if (cluster[c] == b) cluster[c] = a;
      if (c == b) continue;
      const double sum = c == a ? 0.0 : __dadd_rn(weight[b * nodes + c], weight[a * nodes + c]);
      weight[a * nodes + c] = weight[c * nodes + a] = sum;
      weight[b * nodes + c] = weight[c * nodes + b] = 0.0;
    }
    __syncthreads();
  }
};

// Decides the listed components: the root of each of their spacepoints becomes the smallest of its cluster, and
// `disputed` 0. A component that is left becomes 1 there again.
extern "C" __global__ void contract_components(const long long* edge_index, const float* scores, long long edges,
                                               float threshold, const int* listed, const int* size,
                                               const unsigned long long* inside, const int* member_end,
                                               const int* members, const unsigned long long* edge_end,
                                               const long long* edge_list, int* state, int* disputed, int* root) {
  __shared__ double weight[kMostNodes * kMostNodes];
  __shared__ int node[kMostNodes], cluster[kMostNodes];
  __shared__ Join best[kMostThreads];
  const ScoredEdges graph{edge_index, scores, edges};
  for (int i = blockIdx.x; i < state[kListed]; i += gridDim.x) {
    const int r = listed[i];
    const Component component{size[r], node, cluster, weight, best};
    component.clear(members + (member_end[r] - size[r]));
    component.add(graph, edge_list + (edge_end[r] - inside[r]), edge_list + edge_end[r], threshold);
    const bool decided = component.mirror();
    if (decided) {
      for (Join join = component.best_join(); join.weight > 0.0; join = component.best_join()) {
        component.contract(join.a, join.b);
      }
      for (int n = threadIdx.x; n < component.nodes; n += blockDim.x) root[node[n]] = node[cluster[n]];
    } else if (threadIdx.x == 0) {
      atomicAdd(&state[kLeft], 1);
    }
    if (threadIdx.x == 0) disputed[r] = decided ? 0 : 1;
    __syncthreads();
  }
}
