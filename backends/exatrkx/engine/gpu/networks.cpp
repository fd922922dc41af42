#include "networks.hpp"

#include <ATen/ops/empty.h>

#include "gnn.hpp"
#include "graph.hpp"
#include "kernels.hpp"
#include "parameters.hpp"

namespace exatrkx::gpu {

at::Tensor described_nodes(const at::Tensor& features) {
  constexpr std::int64_t kNodeColumns = 8;  // of Node in networks/cuda/geometry.cuh
  const at::Tensor rows = features.contiguous();
  const std::int64_t count = rows.size(0);
  const at::Tensor nodes = at::empty({count, kNodeColumns}, rows.options());
  describe_nodes(blocks_for(count), current_stream(rows), rows, count, rows.size(1), nodes);
  return nodes;
}

namespace {

class EmbeddingKernels final : public KernelNetwork {
 public:
  static constexpr std::int64_t kInputs = 4, kHidden = 128, kMostOutputs = 8;  // as in networks/cuda/embedding.cu

  static bool fit(const NetworkSizes& sizes) {
    return sizes[0] == kHidden && sizes[1] >= 1 && padded(sizes[2]) == kMostOutputs && sizes[3] <= sizes[2];
  }

  EmbeddingKernels(ParameterParts parts, const NetworkSizes& sizes)
      : layers_(sizes[1]), outputs_(sizes[2]), circles_(sizes[3]),
        parameters_(parts.take(layer_size(kInputs, kHidden) + (layers_ - 1) * layer_size(kHidden, kHidden) +
                               linear_size(kHidden, kMostOutputs))) {
    parts.finish();
  }

  at::Tensor operator()(const at::Tensor& features, const at::Tensor& /*edge_index*/) const override {
    const at::Tensor rows = features.contiguous();
    const std::int64_t count = rows.size(0);
    at::Tensor embedding = at::empty({count, outputs_ + circles_}, rows.options());
    embed_points(blocks_for(count, kEmbeddingThreads), current_stream(rows), rows, count, rows.size(1), parameters_,
                 layers_, outputs_, circles_, embedding);
    return embedding;
  }

 private:
  std::int64_t layers_, outputs_, circles_;
  at::Tensor parameters_;
};

class FilterKernels final : public KernelNetwork {
 public:
  static constexpr std::int64_t kInputs = 16, kHidden = 64, kLayers = 2;  // as in networks/cuda/filter.cu

  static bool fit(const NetworkSizes& sizes) { return sizes[0] == kHidden && sizes[1] == kLayers; }

  explicit FilterKernels(ParameterParts parts)
      : parameters_(parts.take(layer_size(kInputs, kHidden) + layer_size(kHidden, kHidden) + linear_size(kHidden, 1))) {
    parts.finish();
  }

  at::Tensor operator()(const at::Tensor& features, const at::Tensor& edge_index) const override {
    const at::Tensor nodes = described_nodes(features), edges = edge_index.contiguous();
    const std::int64_t count = edges.size(1);
    at::Tensor scores = at::empty({count}, features.options());
    score_edges(blocks_for(count), current_stream(nodes), nodes, edges, count, parameters_, scores);
    return scores;
  }

 private:
  at::Tensor parameters_;
};

}  // namespace

std::unique_ptr<KernelNetwork> kernel_network(const at::Tensor& parameters) {
  const ParameterParts parts(parameters);
  const NetworkSizes& sizes = parts.sizes();
  if (parts.kind() == NetworkKind::kEmbedding && EmbeddingKernels::fit(sizes)) {
    return std::make_unique<EmbeddingKernels>(parts, sizes);
  }
  if (parts.kind() == NetworkKind::kFilter && FilterKernels::fit(sizes)) return std::make_unique<FilterKernels>(parts);
  if (parts.kind() == NetworkKind::kGnn && GnnKernels::fit(sizes)) return std::make_unique<GnnKernels>(parts, sizes);
  return nullptr;
}

}  // namespace exatrkx::gpu
