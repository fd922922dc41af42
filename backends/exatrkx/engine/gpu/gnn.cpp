#include "gnn.hpp"

#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gt.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/zeros.h>

#include <tuple>

#include "../errors.hpp"
#include "graph.hpp"
#include "kernels.hpp"

namespace exatrkx::gpu {

namespace {

// As in networks/cuda/gnn.cu.
constexpr std::int64_t kHidden = 32, kTripletHidden = 24, kMostContinuations = 16, kBeliefs = 3, kLanes = 8;
constexpr std::int64_t kContext = 4, kEdgeInputs = 16, kTripletFeatures = 14;
constexpr std::int64_t kSegmentColumns = 12;  // of Segment in networks/cuda/geometry.cuh

constexpr std::size_t kFullRounds = 2;  // FULL_ROUNDS of exatrkx/networks/triplet_network.py

constexpr std::int64_t kMostEdges = (std::int64_t{1} << 30) - 1;  // twice as many are an INT32 yet

// Of [E] keys, equal ones in the order in which they are: the place of each in the sorted list.
at::Tensor sorted_order(const at::Tensor& keys) { return std::get<1>(at::sort(keys, /*stable=*/true, 0, false)); }

// One call of the network: what is made of an event's edges, by edges in their order at the spacepoints where they end.
class GnnCall {
 public:
  GnnCall(const at::Tensor& nodes, const at::Tensor& edge_index, std::int64_t most)
      : nodes_(nodes),
        edge_index_(edge_index),
        count_(nodes.size(0)),
        edges_(edge_index.size(1)),
        most_(most),
        stream_(current_stream(nodes)),
        ends_(at::empty({edges_, 2}, of(at::kInt))),
        states_(at::empty({kHidden, edges_}, of(at::kFloat))),
        beliefs_(at::empty({kBeliefs, edges_}, of(at::kFloat))),
        odds_(at::empty({most * edges_}, of(at::kFloat))),
        from_outside_(at::empty({edges_}, of(at::kFloat))),
        from_inside_(at::zeros({edges_}, of(at::kFloat))),
        competition_(at::empty({2, count_}, of(at::kFloat))),
        scores_(at::empty({edges_}, of(at::kFloat))) {}

  void encode(const at::Tensor& encoder, const at::Tensor& triplet) {
    const at::Tensor outer = at::empty({edges_}, of(at::kInt)), degrees = at::zeros({2 * count_ + 2}, of(at::kInt));
    orient_edges(blocks_for(edges_), stream_, nodes_, count_, edge_index_, edges_, outer, degrees);
    start_ = at::cumsum(degrees, 0, at::kInt);
    order_ = sorted_order(outer);
    const at::Tensor segments = at::empty({edges_, kSegmentColumns}, of(at::kFloat));
    const at::Tensor keys = at::empty({edges_}, of(at::kLong));
    encode_edges(blocks_for(edges_), stream_, nodes_, edge_index_, edges_, order_, encoder, ends_, states_, segments,
                 beliefs_, keys);
    by_inner_ = sorted_order(keys);
    score_triplets(blocks_for(edges_), stream_, count_, edges_, most_, start_, by_inner_, ends_, segments, triplet,
                   odds_);
  }

  void propagate() const {
    propagate_beliefs(blocks_for(count_ * kLanes), stream_, count_, edges_, most_, start_, by_inner_, odds_, beliefs_,
                      from_outside_, from_inside_, competition_);
  }

  // `give_up` and `last`: as `update_edges` says.
  void update(const at::Tensor& parameters, bool give_up, bool last) {
    const auto step = [&](const auto& hopeful, const auto& number, const auto& beliefs) {
      update_edges(blocks_for(edges_), stream_, edges_, count_, hopeful, number, order_, ends_, from_outside_,
                   from_inside_, competition_, parameters, static_cast<int>(give_up), states_, beliefs, scores_);
    };
    const auto of_those_left = [&](const auto& beliefs) {
      hopeful_.defined() ? step(hopeful_, number_hopeful_, beliefs) : step(nullptr, nullptr, beliefs);
    };
    last ? of_those_left(nullptr) : of_those_left(beliefs_);
    if (give_up) list_those_left();
  }

  [[nodiscard]] const at::Tensor& scores() const { return scores_; }

 private:
  [[nodiscard]] at::TensorOptions of(at::ScalarType type) const { return nodes_.options().dtype(type); }

  void list_those_left() {
    const at::Tensor own = beliefs_[0];
    number_hopeful_ = at::cumsum(own.gt(0.0), 0, at::kInt);
    hopeful_ = at::empty({edges_}, of(at::kInt));
    list_hopeful(blocks_for(edges_), stream_, edges_, own, number_hopeful_, hopeful_);
  }

  at::Tensor nodes_, edge_index_;  // [N,8] FP32, [2,E] INT64
  std::int64_t count_, edges_, most_;
  void* stream_;
  at::Tensor start_;           // [2N+2] INT32 running counts of the edges that enter, then of those that leave
  at::Tensor order_, by_inner_;  // [E] INT64 which edge each is, and edges by the spacepoints that they leave
  at::Tensor ends_;            // [E,2] INT32 inner and outer spacepoint
  at::Tensor states_;          // [32,E] FP32
  at::Tensor beliefs_;         // [3,E] FP32 odds
  at::Tensor odds_;            // [most E] FP32 of the triplets
  at::Tensor from_outside_, from_inside_, competition_;  // [E], [E], [2,N] FP32 what edges are told
  at::Tensor scores_;          // [E] FP32 in the order of `edge_index`
  at::Tensor hopeful_, number_hopeful_;  // [E] INT32 the edges that are left, and the running number of them
};

constexpr std::int64_t round_size(bool last) {
  const std::int64_t update = layer_size(kHidden + kContext, kHidden) + linear_size(kHidden, kHidden);
  const std::int64_t score = layer_size(kHidden + kContext, kHidden) + linear_size(kHidden, 1);
  return update + (last ? score : linear_size(kHidden + kContext, kBeliefs));
}

}  // namespace

bool GnnKernels::fit(const NetworkSizes& sizes) {
  const auto [hidden, triplet_hidden, rounds, most, unused1, unused2] = sizes;
  return hidden == kHidden && triplet_hidden == kTripletHidden && rounds >= 1 && most >= 1 &&
         most <= kMostContinuations;
}

GnnKernels::GnnKernels(ParameterParts parts, const NetworkSizes& sizes)
    : most_(sizes[3]),
      encoder_(parts.take(layer_size(kEdgeInputs, kHidden) + layer_size(kHidden, kHidden) + 2 * kHidden +
                          linear_size(kHidden, 1) + linear_size(kHidden + kContext, kBeliefs))),
      triplet_(parts.take(linear_size(kTripletFeatures, kTripletHidden) + linear_size(kTripletHidden, 1))) {
  for (std::int64_t left = sizes[2]; left > 0; --left) rounds_.push_back(parts.take(round_size(left == 1)));
  parts.finish();
}

at::Tensor GnnKernels::operator()(const at::Tensor& features, const at::Tensor& edge_index) const {
  const std::int64_t edges = edge_index.size(1);
  if (edges > kMostEdges) throw GraphTooLargeError("EDGE_INDEX", features.size(0), kMostEdges, edges);
  if (edges == 0) return at::empty({0}, features.options());
  GnnCall call(described_nodes(features), edge_index.contiguous(), most_);
  call.encode(encoder_, triplet_);
  for (std::size_t round = 0; round < rounds_.size(); ++round) {
    const bool last = round + 1 == rounds_.size();
    call.propagate();
    call.update(rounds_[round], round + 1 == kFullRounds && !last, last);
  }
  return call.scores();
}

}  // namespace exatrkx::gpu
