// GNN: exatrkx/networks/triplet_network.py's, an edge to a thread in what is done to each, and a spacepoint to a few in
// what edges tell each other.
//
// Beliefs are kept as odds, exp of the logit: then what a round sums up are products. Each sum is taken by one thread, or
// by a few of which one adds the parts up, in an order that is always the same: so are the scores.
#include "../../stages/cuda/threads.cuh"
#include "geometry.cuh"
#include "line_graph.cuh"
#include "perceptron.cuh"

constexpr int kGnnHidden = 32;
constexpr int kGnnThreads = 128;
constexpr int kTripletHidden = 24;
constexpr int kMostContinuations = 16;
constexpr int kBeliefs = 4;  // of an edge, of an outward and of an inward one; and a column of zeros
constexpr int kNodeLanes = 8;    // threads that share a spacepoint

// The outer spacepoint of each edge of [2, edges], and the edges that enter and leave each spacepoint, one place after
// where they start: `degrees` [2 count + 2] starts as 0.
extern "C" __global__ void orient_edges(const Node* nodes, int count, const long long* edge_index, long long edges,
                                        int* outer, int* degrees) {
  const long long e = global_thread();
  if (e >= edges) return;
  const Ends ends = outwards(nodes, static_cast<int>(edge_index[e]), static_cast<int>(edge_index[edges + e]));
  outer[e] = ends.outer;
  atomicAdd(&degrees[ends.outer + 1], 1);
  atomicAdd(&degrees[count + 2 + ends.inner], 1);
}

// Sorts as pairs of the spacepoint and the rank, the highest rank first.
__device__ inline long long rank_key(int inner, float rank) {
  const unsigned bits = static_cast<unsigned>(__float_as_int(clamped(rank, kLargestRank)));
  const unsigned ascending = (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
  return (static_cast<long long>(inner) << 32) | (~ascending);
}

// What an edge believes, from its logits.
__device__ inline void store_odds(const float (&logits)[kBeliefs], long long edges, long long q, float* beliefs) {
#pragma unroll
  for (int k = 0; k < kBeliefs - 1; ++k) beliefs[k * edges + q] = expf(clamped(logits[k], kLargest));
}

// The edges in their new order: edge `order[q]` becomes edge q. Of each its ends, state [kGnnHidden, edges], segment,
// first beliefs [3, edges] as odds, and the key by which `by_inner` is sorted.
extern "C" __global__ void __launch_bounds__(kGnnThreads)
    encode_edges(const Node* nodes, const long long* edge_index, long long edges, const long long* order,
                 const float* parameters, Ends* ends, float* states, Segment* segments, float* beliefs,
                 long long* keys) {
  __shared__ float block[kGnnHidden * kGnnThreads];
  const long long q = global_thread();
  if (q >= edges) return;
  const long long e = order[q];
  const Ends mine = outwards(nodes, static_cast<int>(edge_index[e]), static_cast<int>(edge_index[edges + e]));
  const Node inner = nodes[mine.inner], outer = nodes[mine.outer];
  ends[q] = mine;
  segments[q] = segment_of(inner, outer);
  const Column x(block);
  edge_features(inner, outer, x);
  Parameters rest(parameters);
  float state[kGnnHidden];
  Layer<kGnnHidden>(rest, kEdgeInputs)(kEdgeInputs, x, state);
  x.store(state);
  Layer<kGnnHidden>(rest, kGnnHidden)(kGnnHidden, x, state);
  const float *const gain = rest.take(kGnnHidden), *const bias = rest.take(kGnnHidden);
#pragma unroll
  for (int j = 0; j < kGnnHidden; ++j) {
    state[j] = state[j] * gain[j] + bias[j];
    states[j * edges + q] = state[j];
  }
  x.store(state);
  keys[q] = rank_key(mine.inner, Score<kGnnHidden>(rest)(state));
  float logits[kBeliefs];
  Linear<kBeliefs>(rest, kGnnHidden + kContext)(kGnnHidden, x, logits);  // there is no context yet
  store_odds(logits, edges, q, beliefs);
}

// The odds of each triplet.
extern "C" __global__ void __launch_bounds__(kGnnThreads)
    score_triplets(int num_nodes, int num_edges, int most, const int* start, const long long* by_inner,
                   const Ends* ends, const Segment* segments, const float* parameters, float* odds) {
  const LineGraph graph{num_nodes, num_edges, most, start, by_inner, odds};
  const long long q = global_thread();
  if (q >= num_edges) return;
  const int node = ends[q].outer, number = graph.continuations(node);
  const Segment first = segments[q];
  Parameters rest(parameters);
  const Linear<kTripletHidden> layer(rest, kTripletFeatures);
  const Score<kTripletHidden> score(rest);
  for (int slot = 0; slot < number; ++slot) {
    const Segment second = segments[graph.continuation(node, slot)];
    float found = 0.0F;
    if (may_be_one_track(first, second)) {
      float x[kTripletFeatures], hidden[kTripletHidden];
      triplet_features(first, second, x);
      layer.start(hidden);
#pragma unroll
      for (int k = 0; k < kTripletFeatures; ++k) layer.add_input(k, x[k], hidden);
#pragma unroll
      for (int j = 0; j < kTripletHidden; ++j) hidden[j] = at_least(hidden[j], 0.0F);
      const float logit = score(hidden);
      if (logit > kUnlikely) found = expf(fminf(logit, kLargest));
    }
    graph.odds_of(node, static_cast<int>(q), slot) = found;
  }
}

// What edges tell each other: support from outside [edges] and from inside [edges], and at each spacepoint the odds of
// the edges that leave it and of those that enter it, [2, num_nodes]. Edges that are no continuation of any keep the
// support from inside that they have.
extern "C" __global__ void __launch_bounds__(kGnnThreads)
    propagate_beliefs(int num_nodes, int num_edges, int most, const int* start, const long long* by_inner,
                      const float* odds, const float* beliefs, float* from_outside, float* from_inside,
                      float* competition) {
  constexpr int kSums = kMostContinuations + 2;
  __shared__ float block[kSums * kGnnThreads];
  const LineGraph graph{num_nodes, num_edges, most, start, by_inner, const_cast<float*>(odds)};
  const float *const own = beliefs, *const outward = beliefs + num_edges;
  const float* const inward = outward + num_edges;
  const long long thread = global_thread();
  const auto node = static_cast<int>(thread / kNodeLanes), lane = static_cast<int>(thread % kNodeLanes);
  const bool real = thread / kNodeLanes < num_nodes;
  const int number = real ? graph.continuations(node) : 0;
  const Column sums(block);
  if (real) {
    float next[kMostContinuations], inside[kMostContinuations];
#pragma unroll
    for (int slot = 0; slot < kMostContinuations; ++slot) {
      next[slot] = slot < number ? outward[graph.continuation(node, slot)] : 0.0F;
      inside[slot] = 0.0F;
    }
    float entering = 0.0F, leaving = 0.0F;
    for (int q = graph.entering(node) + lane; q < graph.entering_end(node); q += kNodeLanes) {
      const float belief = inward[q];
      float outside = 0.0F;
#pragma unroll
      for (int slot = 0; slot < kMostContinuations; ++slot) {
        if (slot >= number) break;
        const float triplet = graph.odds_of(node, q, slot);
        outside += triplet * next[slot];
        inside[slot] += triplet * belief;
      }
      from_outside[q] = outside;
      entering += own[q];
    }
    for (int p = graph.leaving(node) + lane; p < graph.leaving_end(node); p += kNodeLanes) leaving += own[by_inner[p]];
#pragma unroll
    for (int slot = 0; slot < kMostContinuations; ++slot) sums[slot] = inside[slot];
    sums[kMostContinuations] = leaving;
    sums[kMostContinuations + 1] = entering;
  }
  __syncthreads();
  if (!real) return;
  for (int k = lane; k < kSums; k += kNodeLanes) {
    if (k < kMostContinuations && k >= number) continue;
    const float* const parts = block + k * blockDim.x + (threadIdx.x - lane);
    float sum = 0.0F;
    for (int part = 0; part < kNodeLanes; ++part) sum += parts[part];
    if (k < kMostContinuations) {
      from_inside[graph.continuation(node, k)] = sum;
    } else {
      competition[(k - kMostContinuations) * static_cast<long long>(num_nodes) + node] = sum;
    }
  }
}

// The edges that are not hopeless, in their order; `end` is the running number of them.
extern "C" __global__ void list_hopeful(long long edges, const float* beliefs, const int* end, int* hopeful) {
  const long long q = global_thread();
  if (q < edges && beliefs[q] > 0.0F) hopeful[end[q] - 1] = static_cast<int>(q);
}

// What an edge is told, as its state's context.
struct Context {
  const float *from_outside, *from_inside, *competition;

  __device__ void read(long long q, const Ends& ends, long long num_nodes, const Column& x) const {
    x[0] = log1pf(from_outside[q]);
    x[1] = log1pf(from_inside[q]);
    x[2] = log1pf(competition[ends.inner]);
    x[3] = log1pf(competition[num_nodes + ends.outer]);
  }
};

// The step after a round: states in their new context, and the beliefs that follow. In the last one (`beliefs` null) the
// scores, [edges] in the order in which the edges came. Where `give_up`, edges whose logit is hopeless have that for
// their score, and from then on odds of 0, which tell nobody anything. `hopeful`: which edges are left, null for all.
extern "C" __global__ void __launch_bounds__(kGnnThreads)
    update_edges(long long edges, int num_nodes, const int* hopeful, const int* end, const long long* order,
                 const Ends* ends, const float* from_outside, const float* from_inside, const float* competition,
                 const float* parameters, int give_up, float* states, float* beliefs, float* scores) {
  constexpr int kInputs = kGnnHidden + kContext;
  __shared__ float block[(kInputs + kGnnHidden) * kGnnThreads];
  const long long place = global_thread();
  if (place >= (hopeful != nullptr ? end[edges - 1] : edges)) return;
  const long long q = hopeful != nullptr ? hopeful[place] : place;
  const Column x(block), inside = x.from(kInputs);
#pragma unroll
  for (int j = 0; j < kGnnHidden; ++j) x[j] = states[j * edges + q];
  Context{from_outside, from_inside, competition}.read(q, ends[q], num_nodes, x.from(kGnnHidden));
  Parameters rest(parameters);
  float hidden[kGnnHidden];
  Layer<kGnnHidden>(rest, kInputs)(kInputs, x, hidden);
  inside.store(hidden);
  Linear<kGnnHidden>(rest, kGnnHidden)(kGnnHidden, inside, hidden);
#pragma unroll
  for (int j = 0; j < kGnnHidden; ++j) x[j] += hidden[j];
  if (beliefs == nullptr) {
    Layer<kGnnHidden>(rest, kInputs)(kInputs, x, hidden);
    scores[order[q]] = Score<kGnnHidden>(rest)(hidden);
    return;
  }
  float logits[kBeliefs];
  Linear<kBeliefs>(rest, kInputs)(kInputs, x, logits);
  if (give_up != 0 && !(logits[0] > kHopeless)) {
    scores[order[q]] = logits[0];
    for (int k = 0; k < kBeliefs - 1; ++k) beliefs[k * edges + q] = 0.0F;
    return;
  }
#pragma unroll
  for (int j = 0; j < kGnnHidden; ++j) states[j * edges + q] = x[j];
  store_odds(logits, edges, q, beliefs);
}
