// Table of nodes, and the filter: exatrkx/networks/mlp.py's, an edge to a thread.
#include "../../stages/cuda/threads.cuh"
#include "geometry.cuh"
#include "perceptron.cuh"

constexpr int kFilterHidden = 64;
constexpr int kFilterThreads = 128;

// features [count, columns] -> nodes [count].
extern "C" __global__ void describe_nodes(const float* features, int count, int columns, Node* nodes) {
  const long long i = global_thread();
  if (i < count) nodes[i] = node_of(features + i * columns);
}

// The logit of each edge of [2, edges].
extern "C" __global__ void __launch_bounds__(kFilterThreads)
    score_edges(const Node* nodes, const long long* edge_index, long long edges, const float* parameters,
                float* scores) {
  __shared__ float block[kFilterHidden * kFilterThreads];
  const long long e = global_thread();
  if (e >= edges) return;
  const auto row = static_cast<int>(edge_index[e]), column = static_cast<int>(edge_index[edges + e]);
  if (!inside_window(nodes[row], nodes[column])) {
    scores[e] = kOutside;
    return;
  }
  const Ends ends = outwards(nodes, row, column);
  const Column x(block);
  edge_features(nodes[ends.inner], nodes[ends.outer], x);
  Parameters rest(parameters);
  float hidden[kFilterHidden];
  Layer<kFilterHidden>(rest, kEdgeInputs)(kEdgeInputs, x, hidden);
  x.store(hidden);
  Layer<kFilterHidden>(rest, kFilterHidden)(kFilterHidden, x, hidden);
  scores[e] = Score<kFilterHidden>(rest)(hidden);
}
