#include "graph.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>

#include "../stages/completion.hpp"
#include "../stages/components.hpp"
#include "../stages/contraction.hpp"
#include "../stages/edges.hpp"
#include "../stages/neighbours.hpp"
#include "contract.hpp"
#include "errors.hpp"
#include "gpu/graph.hpp"

namespace exatrkx {

namespace {

at::Tensor empty_indices(at::IntArrayRef dims) { return at::empty(dims, at::TensorOptions().dtype(at::kLong)); }

// Whether the kernels do it. Tests run them on host threads, to see that they do it right where there is no GPU.
bool by_kernels([[maybe_unused]] const at::Tensor& tensor) {
#ifdef EXATRKX_KERNELS_ON_HOST
  return true;
#else
  return !tensor.is_cpu();
#endif
}

// Where a stage writes its edges: the tensor is made when their number is known.
auto allocate_in(at::Tensor& edges) {
  return [&edges](std::int64_t count) {
    edges = empty_indices({2, count});
    return edges.mutable_data_ptr<std::int64_t>();
  };
}

}  // namespace

void check_finite(const at::Tensor& values, const char* name) {
  if (!values.is_cpu()) {
    if (!at::isfinite(values).all().item<bool>()) check_finite(values.cpu(), name);
    return;
  }
  const at::Tensor dense = values.contiguous();
  stages::check_finite(dense.const_data_ptr<float>(), dense.size(0), dense.size(1), name);
}

void check_edge_index(const at::Tensor& edge_index, std::int64_t num_nodes, const char* name) {
  if (!edge_index.is_cpu()) {
    const at::Tensor outside = edge_index.lt(0).logical_or(edge_index.ge(num_nodes));
    if (outside.any().item<bool>()) check_edge_index(edge_index.cpu(), num_nodes, name);
    return;
  }
  const at::Tensor dense = edge_index.contiguous();
  stages::check_edge_index(dense.const_data_ptr<std::int64_t>(), dense.size(1), num_nodes, name);
}

at::Tensor fixed_radius_edges(const at::Tensor& embedding, const WorkingPoint& cuts, int threads) {
  if (by_kernels(embedding)) return gpu::fixed_radius_edges(embedding, cuts);
  const at::Tensor points = embedding.contiguous();
  at::Tensor edges;
  stages::fixed_radius_edges(points.const_data_ptr<float>(), points.size(0), points.size(1),
                             {cuts.radius, cuts.max_neighbors, cuts.max_edges, threads}, allocate_in(edges));
  return edges;
}

at::Tensor select_edges(const at::Tensor& edge_index, const at::Tensor& scores, const WorkingPoint& cuts, int threads) {
  const float threshold = stages::score_threshold(cuts.filter_cut);
  if (by_kernels(scores)) return gpu::select_edges(edge_index, scores, threshold);
  const at::Tensor values = scores.contiguous();
  at::Tensor selected;
  stages::select_edges(edge_index.const_data_ptr<std::int64_t>(), values.const_data_ptr<float>(), values.size(0),
                       threshold, threads, allocate_in(selected));
  return selected;
}

namespace {

at::Tensor label_candidates(const at::Tensor& edge_index, const at::Tensor& scores, std::int64_t num_nodes,
                            const WorkingPoint& cuts) {
  const float threshold = stages::score_threshold(cuts.gnn_cut);
  const bool clusters = cuts.track_building == WorkingPoint::kContraction;
  if (by_kernels(scores)) return gpu::label_tracks(edge_index, scores, num_nodes, threshold, cuts.min_hits, clusters);
  const at::Tensor index = edge_index.contiguous(), values = scores.contiguous();
  at::Tensor labels = empty_indices({num_nodes});
  const auto label = clusters ? stages::label_clusters : stages::label_components;
  label(index.const_data_ptr<std::int64_t>(), values.const_data_ptr<float>(), values.size(0), num_nodes, threshold,
        cuts.min_hits, labels.mutable_data_ptr<std::int64_t>());
  return labels;
}

}  // namespace

at::Tensor label_tracks(const at::Tensor& edge_index, const at::Tensor& scores, std::int64_t num_nodes,
                        const WorkingPoint& cuts, const at::Tensor& features, int threads) {
  at::Tensor labels = label_candidates(edge_index, scores, num_nodes, cuts);
  if (cuts.completion.reach <= 0.0) return labels;
  const TensorSpec spec = features_spec();
  if (!features.defined()) {
    throw ContractError(std::string(spec.name) + ": expected " + spec.name + " " + spec.form() + ", found no such input");
  }
  const bool has_others = features.dim() == 2 && features.size(1) > kNumFeatures;
  const at::Tensor position = has_others ? features.narrow(1, 0, kNumFeatures) : features;
  check_form(position, spec);
  if (features.size(0) != num_nodes) {
    throw ContractError(std::string(spec.name) + ": expected one row for each of " + std::to_string(num_nodes) +
                        " spacepoints, found " + std::to_string(features.size(0)));
  }
  const at::Tensor rows = position.cpu().contiguous();  // the angles' sines are the C library's also on a GPU
  check_finite(rows, spec.name);
  if (by_kernels(labels)) return gpu::complete_tracks(rows, labels, cuts, threads);
  stages::complete_tracks(rows.const_data_ptr<float>(), num_nodes, cuts.completion, cuts.min_track_hits,
                          threads, labels.mutable_data_ptr<std::int64_t>());
  return labels;
}

}  // namespace exatrkx
