// Connected components: exatrkx/stages/track_building.py says what the labels are, exatrkx/stages/cuda.py calls these in turn.
//
// A lock-free union-find after ECL-CC (Jaiganesh and Burtscher, HPDC 2018): a larger root is hung below a smaller one,
// so that in the end each root is the smallest spacepoint of its component, whatever the order of the threads.

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

__device__ inline long long global_thread() {
  return static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
}

// Joins the ends of the edges [2, edges] with a score above the threshold. `parent` starts as 0, 1, 2, …
extern "C" __global__ void join_edges(const long long* edge_index, const float* scores, long long edges,
                                      float threshold, int* parent) {
  const long long e = global_thread();
  if (e >= edges || !(scores[e] > threshold)) return;
  join(parent, static_cast<int>(edge_index[e]), static_cast<int>(edge_index[edges + e]));
}

// The root of each spacepoint, and the size of the component of each root. `size` starts as 0.
extern "C" __global__ void find_roots(int* parent, int num_nodes, int* root, int* size) {
  const long long node = global_thread();
  if (node >= num_nodes) return;
  root[node] = find_root(parent, static_cast<int>(node));
  atomicAdd(&size[root[node]], 1);
}
