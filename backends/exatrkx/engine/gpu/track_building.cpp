// Track building on a GPU: exatrkx/stages/track_building.py with torch's tensors.
#include <ATen/ops/arange.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/searchsorted.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

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
        state_(at::zeros({4}, options(at::kInt))) {}

  at::Tensor labels(std::int64_t min_hits, bool clusters) {
    constexpr std::int64_t kNoise = -1;
    const at::Tensor nodes = at::arange(num_nodes_, options(at::kInt)), parent = nodes.clone();
    check_entries(blocks_for(num_edges_), stream_, edge_index_, scores_, num_edges_, num_nodes_, state_);
    join_edges(blocks_for(num_edges_), stream_, edge_index_, scores_, num_edges_, threshold_, state_, parent);
    find_roots_of(parent);
    if (clusters) contract();
    const at::Tensor state = state_.cpu();
    if (state.const_data_ptr<int>()[kBad] != 0) refuse_entries(edge_index_, scores_, num_nodes_);
    if (clusters) {
      if (state.const_data_ptr<int>()[kLeft] != 0) contract_on_host();
      find_roots_of(root_);
    }
    const at::Tensor candidate = root_.eq(nodes).logical_and(size_.ge(std::min(min_hits, num_nodes_ + 1)));  // [N] bool
    const at::Tensor label_of_root = at::where(candidate, at::cumsum(candidate, 0, at::kLong).sub(1), kNoise);
    return label_of_root.index_select(0, root_);
  }

 private:
  static constexpr int kBad = 0, kLeft = 3;  // as in stages/cuda/scored_edges.cuh
  static constexpr std::int64_t kContractingBlocks = 1024;

  [[nodiscard]] at::TensorOptions options(at::ScalarType type) const { return scores_.options().dtype(type); }

  void find_roots_of(const at::Tensor& parent) {
    const at::Tensor root = at::empty_like(parent), size = at::zeros_like(parent);
    find_roots(blocks_for(num_nodes_), stream_, parent, num_nodes_, root, size);
    root_ = root;
    size_ = size;
  }

  // The roots become those of clusters, but for the components that are left: those are 1 in `disputed_`.
  void contract() {
    disputed_ = at::zeros_like(root_);
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
  at::Tensor state_;  // [4] INT32 what the kernels note
  // [N] INT32: of each node; at roots: nodes in the set; at roots: whether an edge is against the component.
  at::Tensor root_, size_, disputed_;
};

}  // namespace

at::Tensor label_tracks(const at::Tensor& edge_index, const at::Tensor& scores, std::int64_t num_nodes,
                        float threshold, std::int64_t min_hits, bool clusters) {
  // At an infinite threshold nothing can be weighed.
  return TrackBuilding(edge_index, scores, num_nodes, threshold).labels(min_hits, clusters && std::isfinite(threshold));
}

}  // namespace exatrkx::gpu
