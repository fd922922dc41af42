// Connected components: exatrkx/stages/track_building.py says what the labels are, and calls these in turn.
//
// A lock-free union-find after ECL-CC (Jaiganesh and Burtscher, HPDC 2018): a larger root is hung below a smaller one,
// so that in the end each root is the smallest spacepoint of its component, whatever the order of the threads.
#include "scored_edges.cuh"

// With path halving. Another thread may write an ancestor here at the same time: either of the two is right.
__device__ inline int find_root(int* parent, int node) {
  volatile int* up = parent;
  int above = up[node];
  while (above != node) {
    const int next = up[above];
    up[node] = next;
    node = above;
    above = next;
  }
  return node;
}

__device__ inline void join(int* parent, int a, int b) {
  int larger = find_root(parent, a), smaller = find_root(parent, b);
  while (larger != smaller) {
    if (larger < smaller) {
      const int swapped = larger;
      larger = smaller;
      smaller = swapped;
    }
    const int seen = atomicCAS(&parent[larger], larger, smaller);
    if (seen == larger) return;
    larger = find_root(parent, seen);
    smaller = find_root(parent, smaller);
  }
}

// Notes in `state` whether a score is NaN or an index outside [0, num_nodes): then nothing below looks at the edges. Makes
// each node a set of its own.
extern "C" __global__ void check_entries(const long long* edge_index, const float* scores, long long edges,
                                         int num_nodes, int* state, int* parent) {
  const long long e = global_thread();
  if (e < num_nodes) parent[e] = static_cast<int>(e);
  if (e >= edges) return;
  const auto inside = [&](long long node) { return node >= 0 && node < num_nodes; };
  if (!inside(edge_index[e]) || !inside(edge_index[edges + e]) || !(scores[e] == scores[e])) state[kBad] = 1;
}

// Joins the ends of the edges [2, edges] with a score above the threshold.
extern "C" __global__ void join_edges(const long long* edge_index, const float* scores, long long edges,
                                      float threshold, const int* state, int* parent) {
  const ScoredEdges graph{edge_index, scores, edges};
  const long long e = global_thread();
  if (e >= edges || state[kBad] != 0 || !graph.above(e, threshold)) return;
  join(parent, graph.row(e), graph.column(e));
}

// The root of each spacepoint, and the size of the component of each root. `size` starts as 0.
extern "C" __global__ void find_roots(int* parent, int num_nodes, int* root, int* size) {
  const long long node = global_thread();
  if (node >= num_nodes) return;
  root[node] = find_root(parent, static_cast<int>(node));
  atomicAdd(&size[root[node]], 1);
}

// 1 for the root of each set of `min_hits` spacepoints or more, and 0 for all others.
extern "C" __global__ void mark_candidates(int num_nodes, const int* root, const int* size, int min_hits, int* marked) {
  const long long node = global_thread();
  if (node < num_nodes) marked[node] = root[node] == node && size[node] >= min_hits;
}

// The number of each spacepoint's candidate, and -1 for none; `end` is the running sum of `marked`.
extern "C" __global__ void number_tracks(int num_nodes, const int* root, const int* marked, const int* end,
                                         long long* labels) {
  const long long node = global_thread();
  if (node < num_nodes) labels[node] = marked[root[node]] != 0 ? end[root[node]] - 1 : -1;
}
