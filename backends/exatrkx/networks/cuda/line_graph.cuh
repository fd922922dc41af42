// Edges of the GNN by their spacepoints: exatrkx/networks/triplet_network.py's line graph without a list of its links.
//
// Edges are numbered anew, by the spacepoint at which they end: so those that enter a spacepoint are one after the other.
// Of those that leave it, the first `most` by rank are their continuations: one table of entering × leaving edges at each
// spacepoint has all triplets there, in memory that depends on nothing but the number of edges.
#pragma once

struct LineGraph {
  int num_nodes, num_edges, most;
  const int* start;              // [2 num_nodes + 2] running counts of the edges that enter, then of those that leave
  const long long* by_inner;     // [num_edges] edges by the spacepoint that they leave, the one of the highest rank first
  float* odds;                   // [most · num_edges] of the triplets, 0 for none

  __device__ int entering(int node) const { return start[node]; }
  __device__ int entering_end(int node) const { return start[node + 1]; }
  __device__ int leaving(int node) const { return start[num_nodes + 1 + node] - num_edges; }
  __device__ int leaving_end(int node) const { return start[num_nodes + 2 + node] - num_edges; }

  __device__ int continuations(int node) const {
    const int all = leaving_end(node) - leaving(node);
    return all < most ? all : most;
  }
  // The edge that is a spacepoint's `slot`-th continuation.
  __device__ int continuation(int node, int slot) const { return static_cast<int>(by_inner[leaving(node) + slot]); }

  // Of the triplet of an edge that enters a node with that one's `slot`-th continuation.
  __device__ float& odds_of(int node, int edge, int slot) const {
    const long long first = entering(node), entries = entering_end(node) - first;
    return odds[first * most + slot * entries + (edge - first)];
  }
};
