// Edge selection: exatrkx/stages/edges.py says what is selected, exatrkx/stages/cuda.py calls these in turn.
#include "scored_edges.cuh"

constexpr int kEdgesOfThread = 8;  // one after the other: so few numbers are to be summed

// How many of its edges each thread selects, those whose score is above the threshold. A NaN score or a negative index
// makes it edges + 1: with it the sum is more than there are edges.
extern "C" __global__ void count_selected(const long long* edge_index, const float* scores, long long edges,
                                          float threshold, long long* selected) {
  const ScoredEdges graph{edge_index, scores, edges};
  const long long begin = global_thread() * kEdgesOfThread;
  if (begin >= edges) return;
  const long long end = begin + kEdgesOfThread < edges ? begin + kEdgesOfThread : edges;
  long long count = 0;
  bool good = true;
  for (long long e = begin; e < end; ++e) {
    good = good && edge_index[e] >= 0 && edge_index[edges + e] >= 0 && scores[e] == scores[e];
    count += graph.above(e, threshold);
  }
  selected[global_thread()] = good ? count : edges + 1;
}

// The selected edges [2, num_selected] in their order; `selected_end` is the running sum of `selected`.
extern "C" __global__ void copy_selected(const long long* edge_index, const float* scores, long long edges,
                                         float threshold, const long long* selected_end, long long num_selected,
                                         long long* copied) {
  const ScoredEdges graph{edge_index, scores, edges};
  const long long thread = global_thread(), begin = thread * kEdgesOfThread;
  if (begin >= edges) return;
  const long long end = begin + kEdgesOfThread < edges ? begin + kEdgesOfThread : edges;
  long long place = thread == 0 ? 0 : selected_end[thread - 1];
  for (long long e = begin; e < end && place < selected_end[thread]; ++e) {
    if (!graph.above(e, threshold)) continue;
    copied[place] = edge_index[e];
    copied[num_selected + place] = edge_index[edges + e];
    ++place;
  }
}
