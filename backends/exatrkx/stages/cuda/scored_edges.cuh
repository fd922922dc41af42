// Scored edges, [2, edges] and [edges], as the kernels of components.cu and contraction.cu are given them.
#pragma once

#include "threads.cuh"
#include "widened.cuh"

// Words of `state`, which starts as 0.
constexpr int kBad = 0;      // whether an entry is not the contract's: the graph is not looked at
constexpr int kListed = 1;   // components that are to be decided by a block each
constexpr int kMembers = 2;  // their spacepoints
constexpr int kLeft = 3;     // components that are not decided here

struct ScoredEdges {
  const long long* edge_index;
  const float* scores;
  long long edges;

  __device__ int row(long long e) const { return static_cast<int>(edge_index[e]); }
  __device__ int column(long long e) const { return static_cast<int>(edge_index[edges + e]); }
  __device__ bool above(long long e, float threshold) const { return widened(scores[e]) > widened(threshold); }
};
