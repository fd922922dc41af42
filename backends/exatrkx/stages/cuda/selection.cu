// Edge selection: exatrkx/stages/edges.py says what is selected, exatrkx/stages/cuda.py calls these in turn.
#include "scored_edges.cuh"

// 1 for each edge whose score is above the threshold. A NaN score or a negative index is edges + 1: with it the sum is
// more than there are edges.
extern "C" __global__ void mark_selected(const long long* edge_index, const float* scores, long long edges,
                                         float threshold, long long* selected) {
  const ScoredEdges graph{edge_index, scores, edges};
  const long long e = global_thread();
  if (e >= edges) return;
  const bool good = edge_index[e] >= 0 && edge_index[edges + e] >= 0 && scores[e] == scores[e];
  selected[e] = good ? graph.above(e, threshold) : edges + 1;
}

// The selected edges [2, num_selected] in their order; `end` is the running sum of `selected`.
extern "C" __global__ void copy_selected(const long long* edge_index, long long edges, const long long* end,
                                         long long num_selected, long long* copied) {
  const long long e = global_thread();
  if (e >= edges) return;
  const long long place = e == 0 ? 0 : end[e - 1];
  if (place == end[e]) return;
  copied[place] = edge_index[e];
  copied[num_selected + place] = edge_index[edges + e];
}
