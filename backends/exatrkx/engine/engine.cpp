#include "engine.hpp"

#include <ATen/ops/from_blob.h>

#include "contract.hpp"
#include "graph.hpp"
#include "network.hpp"

namespace exatrkx {

struct Engine::Networks {
  Network embed, filter, gnn;
};

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
  return find_tracks(at::from_blob(const_cast<float*>(features), {count, 3}, at::TensorOptions().dtype(at::kFloat)));
}

Tracks Engine::find_tracks(const at::Tensor& features, void (*admit)(const at::Tensor& edge_index)) {
  const DeviceStreamGuard own_stream(stream_);
  const NetworkScope as_written;
  check_form(features, features_spec());
  const at::Tensor hits = features.to(stream_.device());  // [N,3]
  check_finite(hits, features_spec().name);

  const at::Tensor embedding = networks_->embed({hits});  // [N,D]
  check_embedding(embedding, hits.size(0));
  const at::Tensor neighbours = fixed_radius_edges(embedding, cuts_, threads_);  // [2,E']

  const at::Tensor filter_scores = one_score_each(networks_->filter({hits, neighbours}), neighbours.size(1));  // [E']
  const at::Tensor edge_index = select_edges(neighbours, filter_scores, cuts_, threads_);            // [2,E]

  if (admit != nullptr) admit(edge_index);

  // As the network returned them, [E] or [E,1], the scores are the contract's after one_score_each.
  const at::Tensor scores = one_score_each(networks_->gnn({hits, edge_index}), edge_index.size(1));  // [E]
  Tracks tracks{label_tracks(edge_index, scores, hits.size(0), cuts_, hits, threads_), edge_index, scores.contiguous()};
  stream_.synchronize();
  return tracks;
}

}  // namespace exatrkx
