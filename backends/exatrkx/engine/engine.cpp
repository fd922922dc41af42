#include "engine.hpp"

#include <ATen/ops/from_blob.h>
#include <ATen/record_function.h>

#include "contract.hpp"
#include "graph.hpp"
#include "network.hpp"

namespace exatrkx {

struct Engine::Networks {
  Network embed, filter, gnn;
};

namespace {

// A stage of the pipeline, as PyTorch's profiler shows it.
template <class Work>
auto stage(const char* name, Work&& work) {
  RECORD_USER_SCOPE(name);
  return work();
}

}  // namespace

Engine::Engine(c10::Device device, const NetworkFiles& files, const WorkingPoint& cuts, int threads)
    : stream_(device),
      cuts_(cuts),
      threads_(threads),
      networks_(new Networks{
          {files.embed, stream_.device()}, {files.filter, stream_.device()}, {files.gnn, stream_.device()}}) {}

Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;

Tracks Engine::find_tracks(const float* features, std::int64_t count) {
  // Only read: from_blob takes no pointer to const.
  return find_tracks(at::from_blob(const_cast<float*>(features), {count, cuts_.num_features}, at::TensorOptions().dtype(at::kFloat)));
}

Tracks Engine::find_tracks(const at::Tensor& features, void (*admit)(const at::Tensor& edge_index)) {
  const DeviceStreamGuard own_stream(stream_);
  const NetworkScope as_written;
  const TensorSpec spec = features_spec(cuts_.num_features);
  check_form(features, spec);
  check_finite(features, spec.name);  // where they are: on the host there is nothing to wait for
  const std::int64_t count = features.size(0);
  at::Tensor hits;  // [N,F] on the device
  const at::Tensor embedding = stage("embed", [&] {
    hits = features.to(stream_.device());
    return networks_->embed({hits});
  });  // [N,D]
  check_embedding(embedding, count);
  const at::Tensor neighbours = stage("frnn", [&] { return fixed_radius_edges(embedding, cuts_, threads_); });  // [2,E']

  const at::Tensor filter_scores = one_score_each(
      stage("filter", [&] { return networks_->filter({hits, neighbours}); }), neighbours.size(1));  // [E']
  const at::Tensor edge_index =
      stage("applyfilter", [&] { return select_edges(neighbours, filter_scores, cuts_, threads_); });  // [2,E]

  if (admit != nullptr) admit(edge_index);

  // As the network returned them, [E] or [E,1], the scores are the contract's after one_score_each.
  const at::Tensor scores =
      one_score_each(stage("gnn", [&] { return networks_->gnn({hits, edge_index}); }), edge_index.size(1));  // [E]
  Tracks tracks{
      stage("wcc", [&] { return label_tracks(edge_index, scores, count, cuts_, features, threads_); }), edge_index,
      scores.contiguous()};
  stream_.synchronize();
  return tracks;
}

}  // namespace exatrkx
