// The limit on edges while they are counted: a crowd of points has more than memory, and takes forever to look at.
#pragma once

// Words of `found`, which start as 0. Each is a number that the graph is sure to have.
constexpr int kEndsListed = 0;   // ends of edges at points that have all that they may keep: so each edge up to twice
constexpr int kEndsKept = 1;     // the same with all that tie, of those points that have been looked at
constexpr int kEdgesCounted = 2;

constexpr unsigned long long kUsedUp = ~0ULL;  // in any of them: more than any limit

// Whether the graph has more than `max_edges` edges, as far as they are counted: then it is given up.
__device__ inline bool too_many(const unsigned long long* found, long long max_edges) {
  const volatile unsigned long long* now = found;
  const auto most = static_cast<unsigned long long>(max_edges);
  return now[kEndsListed] / 2 > most || now[kEndsKept] / 2 > most || now[kEdgesCounted] > most;
}
