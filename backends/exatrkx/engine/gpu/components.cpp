// Edge selection and connected components on a GPU: exatrkx/stages/cuda.py with torch's tensors.
#include <ATen/ops/arange.h>
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/isnan.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>

#include "../../stages/checks.hpp"
#include "graph.hpp"
#include "kernels.hpp"

namespace exatrkx::gpu {

namespace {

// With one wait for both answers; which entry is at fault is looked up on the host. `num_nodes` < 0: not known.
void check_entries(const at::Tensor& edge_index, const at::Tensor& scores, std::int64_t num_nodes) {
  at::Tensor outside = edge_index.lt(0);
  if (num_nodes >= 0) outside.logical_or_(edge_index.ge(num_nodes));
  if (!at::isnan(scores).any().logical_or(outside.any()).item<bool>()) return;
  const at::Tensor values = scores.cpu().contiguous(), index = edge_index.cpu().contiguous();
  stages::check_no_nan(values.const_data_ptr<float>(), values.numel(), stages::kEdgeScores);
  stages::check_edge_index(index.const_data_ptr<std::int64_t>(), index.size(1), num_nodes, stages::kEdgeIndex);
}

}  // namespace

at::Tensor select_edges(const at::Tensor& edge_index, const at::Tensor& scores, float threshold) {
  check_entries(edge_index, scores, -1);
  return edge_index.index_select(1, at::nonzero(scores.gt(threshold)).view({-1}));
}

at::Tensor label_components(const at::Tensor& edge_index, const at::Tensor& scores, std::int64_t num_nodes,
                            float threshold, std::int64_t min_hits) {
  constexpr std::int64_t kNoise = -1;
  check_entries(edge_index, scores, num_nodes);
  const at::Tensor edges = edge_index.contiguous(), values = scores.contiguous();
  const at::Tensor nodes = at::arange(num_nodes, edges.options().dtype(at::kInt));
  const at::Tensor parent = nodes.clone(), root = at::empty_like(nodes), size = at::zeros_like(nodes);
  void* stream = current_stream(edges);
  join_edges(blocks_for(values.numel()), stream, edges, values, values.numel(), threshold, parent);
  find_roots(blocks_for(num_nodes), stream, parent, num_nodes, root, size);
  const at::Tensor candidate = root.eq(nodes).logical_and(size.ge(std::min(min_hits, num_nodes + 1)));  // [N] bool
  const at::Tensor label_of_root = at::where(candidate, at::cumsum(candidate, 0, at::kLong).sub(1), kNoise);
  return label_of_root.index_select(0, root);
}

}  // namespace exatrkx::gpu
