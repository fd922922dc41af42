// Edge selection on a GPU: exatrkx/stages/cuda.py with torch's tensors.
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>

#include "../../stages/checks.hpp"
#include "graph.hpp"
#include "kernels.hpp"

namespace exatrkx::gpu {

void refuse_entries(const at::Tensor& edge_index, const at::Tensor& scores, std::int64_t num_nodes) {
  const at::Tensor values = scores.cpu().contiguous(), index = edge_index.cpu().contiguous();
  stages::check_no_nan(values.const_data_ptr<float>(), values.numel(), stages::kEdgeScores);
  stages::check_edge_index(index.const_data_ptr<std::int64_t>(), index.size(1), num_nodes, stages::kEdgeIndex);
}

at::Tensor select_edges(const at::Tensor& edge_index, const at::Tensor& scores, float threshold) {
  const at::Tensor edges = edge_index.contiguous(), values = scores.contiguous();
  const std::int64_t count = values.numel();
  if (count == 0) return edges;
  void* const stream = current_stream(values);
  constexpr std::int64_t kEdgesOfThread = 8;  // as in stages/cuda/selection.cu
  const std::int64_t threads = (count + kEdgesOfThread - 1) / kEdgesOfThread;
  const at::Tensor selected = at::empty({threads}, edges.options());
  count_selected(blocks_for(threads), stream, edges, values, count, threshold, selected);
  const at::Tensor end = at::cumsum(selected, 0);
  const auto num_selected = end[-1].item<std::int64_t>();
  if (num_selected > count) refuse_entries(edges, values, -1);
  at::Tensor copied = at::empty({2, num_selected}, edges.options());
  copy_selected(blocks_for(threads), stream, edges, values, count, threshold, end, num_selected, copied);
  return copied;
}

}  // namespace exatrkx::gpu
