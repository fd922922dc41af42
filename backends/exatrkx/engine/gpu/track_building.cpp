// Track building on a GPU: exatrkx/stages/track_building.py with torch's tensors.
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "../../stages/contraction.hpp"
#include "graph.hpp"
#include "kernels.hpp"

namespace exatrkx::gpu {

namespace {

class TrackBuilding {
 public:
  TrackBuilding(const at::Tensor& edge_index, const at::Tensor& scores, std::int64_t num_nodes, float threshold)
      : edge_index_(edge_index.contiguous()),
        scores_(scores.contiguous()),
        num_nodes_(num_nodes),
        num_edges_(scores.numel()),
        threshold_(threshold),
        stream_(current_stream(scores)),
        zeros_(at::zeros({kStateWords + 2 * num_nodes}, options(at::kInt))),
        state_(zeros_.narrow(0, 0, kStateWords)),
        size_(zeros_.narrow(0, kStateWords, num_nodes)),
        disputed_(zeros_.narrow(0, kStateWords + num_nodes, num_nodes)),
        root_(at::empty({num_nodes}, options(at::kInt))) {}

  at::Tensor labels(std::int64_t min_hits, bool clusters) {
    const std::int64_t all = std::max(num_nodes_, num_edges_);
    check_entries(blocks_for(all), stream_, edge_index_, scores_, num_edges_, num_nodes_, state_, root_);
    join_edges(blocks_for(num_edges_), stream_, edge_index_, scores_, num_edges_, threshold_, state_, root_);
    find_roots_again();
    if (clusters) {
      contract();
      find_roots_again();
    }
    const at::Tensor labels = numbered(min_hits);
    const at::Tensor state = state_.cpu();
    if (state.const_data_ptr<int>()[kBad] != 0) refuse_entries(edge_index_, scores_, num_nodes_);
    if (!clusters || state.const_data_ptr<int>()[kLeft] == 0) return labels;
    contract_on_host();
    find_roots_again();
    return numbered(min_hits);
  }

 private:
  static constexpr int kBad = 0, kLeft = 3, kStateWords = 4;  // as in stages/cuda/scored_edges.cuh
  static constexpr std::int64_t kContractingBlocks = 1024;

  [[nodiscard]] at::TensorOptions options(at::ScalarType type) const { return scores_.options().dtype(type); }

  // The smallest node of each node's set, and the size of each set at its root.
  void find_roots_again() {
    const at::Tensor root = at::empty_like(root_);
    size_.zero_();
    find_roots(blocks_for(num_nodes_), stream_, root_, num_nodes_, root, size_);
    root_ = root;
  }

  [[nodiscard]] at::Tensor numbered(std::int64_t min_hits) const {
    const at::Tensor marked = at::empty_like(root_);
    at::Tensor labels = at::empty({num_nodes_}, options(at::kLong));
    mark_candidates(blocks_for(num_nodes_), stream_, num_nodes_, root_, size_, std::min(min_hits, num_nodes_ + 1),
                    marked);
    const at::Tensor end = at::cumsum(marked, 0, at::kInt);
    number_tracks(blocks_for(num_nodes_), stream_, num_nodes_, root_, marked, end, labels);
    return labels;
  }

  // The roots become those of clusters, but for the components that are left: those are 1 in `disputed_`.
  void contract() {
    const at::Tensor counts = at::zeros({2, num_nodes_ + 1}, options(at::kLong));
    const at::Tensor inside = counts[0], edge_end = counts[1];
    const at::Tensor lists = at::empty({3, num_nodes_}, options(at::kInt));
    const at::Tensor listed = lists[0], member_end = lists[1], members = lists[2];
    const at::Tensor edge_list = at::empty({num_edges_}, options(at::kLong));
    find_disputed(blocks_for(num_edges_), stream_, edge_index_, scores_, num_edges_, threshold_, state_, root_, inside,
                  disputed_);
    list_disputed(blocks_for(num_nodes_), stream_, num_nodes_, root_, size_, inside, disputed_, state_, listed,
                  member_end, edge_end);
    gather_disputed(blocks_for(std::max(num_nodes_, num_edges_)), stream_, edge_index_, scores_, num_edges_, num_nodes_,
                    state_, root_, disputed_, member_end, members, edge_end, edge_list);
    contract_components(std::min(num_nodes_, kContractingBlocks), stream_, edge_index_, scores_, num_edges_, threshold_,
                        listed, size_, inside, member_end, members, edge_end, edge_list, state_, disputed_, root_);
  }

  // The same for those that are left: of the graph, no more is copied.
  void contract_on_host() {
    const at::Tensor root = root_.to(at::kLong);
    const at::Tensor left = disputed_.index_select(0, root).eq(1);  // [N] bool
    const at::Tensor row = root.index_select(0, edge_index_[0]), column = root.index_select(0, edge_index_[1]);
    const at::Tensor inside = at::nonzero(row.eq(column).logical_and(disputed_.index_select(0, row).eq(1))).view({-1});
    const at::Tensor nodes = at::nonzero(left).view({-1});
    const at::Tensor edges = at::searchsorted(nodes, edge_index_.index_select(1, inside)).cpu();
    const at::Tensor scores = scores_.index_select(0, inside).cpu();
    at::Tensor labels = at::empty({nodes.numel()}, at::TensorOptions().dtype(at::kLong));
    stages::label_clusters(edges.const_data_ptr<std::int64_t>(), scores.const_data_ptr<float>(), scores.numel(),
                           nodes.numel(), threshold_, 1, labels.mutable_data_ptr<std::int64_t>());
    // Labels count up at the smallest node of each cluster: from them to its place.
    std::vector<std::int64_t> smallest;
    auto* const label = labels.mutable_data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < labels.numel(); ++i) {
      if (label[i] == static_cast<std::int64_t>(smallest.size())) smallest.push_back(i);
      label[i] = smallest[label[i]];
    }
    root_.index_copy_(0, nodes, nodes.index_select(0, labels.to(nodes.device())).to(at::kInt));
  }

  at::Tensor edge_index_, scores_;
  std::int64_t num_nodes_, num_edges_;
  float threshold_;
  void* stream_;
  at::Tensor zeros_, state_;     // the second [4] INT32 what the kernels note
  at::Tensor size_, disputed_;   // [N] INT32 at roots: nodes in the set, and whether an edge is against the component
  at::Tensor root_;              // [N] INT32 of each node
};

}  // namespace

at::Tensor label_tracks(const at::Tensor& edge_index, const at::Tensor& scores, std::int64_t num_nodes,
                        float threshold, std::int64_t min_hits, bool clusters) {
  // At an infinite threshold nothing can be weighed.
  return TrackBuilding(edge_index, scores, num_nodes, threshold).labels(min_hits, clusters && std::isfinite(threshold));
}

}  // namespace exatrkx::gpu
