// Runners of the backend `exatrkx`: the whole pipeline, and the ensemble's stages between the networks as models of
// their own (frnn, applyfilter and wcc), with the parameters and refusals of the Python models of the model
// repository.
#include <ATen/ops/full.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>

#include "../engine/digest.hpp"
#include "../engine/engine.hpp"
#include "../engine/errors.hpp"
#include "../engine/graph.hpp"
#include "../stages/checks.hpp"
#include "admission.hpp"
#include "runner.hpp"

namespace exatrkx::triton {

namespace {

using Tensors = std::vector<at::Tensor>;

// What a stage reads, and what it does with it.
struct Stage {
  std::vector<const char*> parameters;
  std::vector<TensorSpec> inputs;
  Outputs (*run)(const Tensors& tensors, const WorkingPoint& cuts, int threads);
};

const TensorSpec kEdgeIndexSpec{stages::kEdgeIndex, at::kLong, {2, kVariable}};
const TensorSpec kNumNodesSpec{"NUM_NODES", at::kLong, {1}, false, true};
const char* const kFeatures = "FEATURES";
// On the host, where their digest is worked out, and tracks are completed.
const TensorSpec kFeaturesSpec{kFeatures, at::kFloat, {kVariable, kNumFeatures}, true, true};
const TensorSpec kFeaturesDigestSpec{"FEATURES_DIGEST", at::kLong, {1}, true, true};
const TensorSpec kRequestDigestSpec{"REQUEST_DIGEST", at::kLong, {1}, true, true};

Outputs frnn(const Tensors& tensors, const WorkingPoint& cuts, int threads) {
  const at::Tensor& embedding = tensors[0];
  const std::int64_t count = embedding.size(0);
  check_embedding(embedding, count);
  return {{stages::kEdgeIndex, fixed_radius_edges(embedding, cuts, threads)},
          {kNumNodesSpec.name, at::full({1}, count, at::TensorOptions().dtype(at::kLong))}};
}

Outputs applyfilter(const Tensors& tensors, const WorkingPoint& cuts, int threads) {
  const at::Tensor& edge_index = tensors[1];
  const at::Tensor scores = one_score_each(tensors[0], edge_index.size(1));
  at::Tensor kept = select_edges(edge_index, scores, cuts, threads);
  check_gnn_memory(kept);
  return {{"FILTERED_EDGE_INDEX", std::move(kept)}};
}

Outputs wcc(const Tensors& tensors, const WorkingPoint& cuts, int threads) {
  const at::Tensor& edge_index = tensors[0];
  const std::int64_t count = tensors[2].item<std::int64_t>();
  check_num_nodes(count, kNumNodesSpec.name);
  const at::Tensor scores = one_score_each(tensors[1], edge_index.size(1));
  return {{"LABELS", label_tracks(edge_index, scores, count, cuts, tensors[3], threads)},
          {stages::kEdgeIndex, edge_index},
          {stages::kEdgeScores, scores}};
}

// By the model's name.
const std::map<std::string, Stage, std::less<>>& known_stages() {
  static const std::map<std::string, Stage, std::less<>> kStages{
      {"frnn", {{"radius", "max_neighbors", "max_edges"}, {embedding_spec(), kFeaturesDigestSpec}, frnn}},
      {"applyfilter",
       {{"filter_cut"},
        {edge_scores_spec(), kEdgeIndexSpec, kFeaturesDigestSpec, kRequestDigestSpec},
        applyfilter}},
      {"wcc",
       {{"gnn_cut", "min_hits", "track_building"},
        {kEdgeIndexSpec, edge_scores_spec(), kNumNodesSpec, kFeaturesSpec, kFeaturesDigestSpec, kRequestDigestSpec},
        wcc}},
  };
  return kStages;
}

// The working point as far as these fields go.
WorkingPoint cuts_of(const Model& model, std::span<const char* const> fields) {
  require(model.parameters(), fields);
  Parameters texts;
  for (const char* name : fields) texts[name] = model.parameters().at(name);
  for (const char* name : WorkingPoint::kOptional) {
    if (const auto found = model.parameters().find(name); found != model.parameters().end()) texts[name] = found->second;
  }
  return WorkingPoint::from_texts(texts, kParametersOfConfig);
}

class StageRunner final : public Runner {
 public:
  StageRunner(const Model& model, const Stage& stage, c10::Device device)
      : stage_(stage),
        inputs_(stage.inputs),
        cuts_(cuts_of(model, stage.parameters)),
        threads_(model.threads()),
        stream_(device) {
    for (TensorSpec& spec : inputs_) {
      if (std::string_view(spec.name) == kFeatures) spec.dims.back() = model.num_features();
    }
  }

  const DeviceStream& stream() const noexcept override { return stream_; }
  const std::vector<TensorSpec>& inputs() const noexcept override { return inputs_; }

  std::optional<std::int64_t> digest_of(const Tensors& tensors, std::string_view request_id) const override {
    std::int64_t of_edges = 0, of_all = 0;
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const TensorSpec& spec = stage_.inputs[i];
      if (std::ranges::find(spec.dims, kVariable) == spec.dims.end() || spec.optional) continue;
      const std::int64_t one = payload_digest(tensors[i]);
      if (std::string_view(spec.name) == stages::kEdgeIndex) of_edges = one;
      of_all = added(of_all, one);
    }
    const at::Tensor given = tensor_called(kFeaturesDigestSpec.name, tensors);
    const std::int64_t of_features = given.defined() ? without(given.item<std::int64_t>(), of_all) : 0;
    const at::Tensor features = tensor_called(kFeatures, tensors);
    if (given.defined() && features.defined() && features_digest(features) != of_features) {
      throw MixedRequestsError("features and scores are of different requests");
    }
    const std::int64_t digest = request_digest(of_features, request_id);
    const at::Tensor earlier = tensor_called(kRequestDigestSpec.name, tensors);
    if (earlier.defined() && without(earlier.item<std::int64_t>(), of_edges) != digest) {
      throw MixedRequestsError("edges and scores are of different requests");
    }
    return digest;
  }

  Outputs run(const Tensors& tensors, std::int64_t digest) override {
    Outputs outputs = stage_.run(tensors, cuts_, threads_);
    outputs.emplace_back(kRequestDigestSpec.name, tensor_of(added(digest, payload_digest(outputs[0].second))));
    return outputs;
  }

 private:
  // Undefined unless it is an input, and given.
  [[nodiscard]] at::Tensor tensor_called(std::string_view name, const Tensors& tensors) const {
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      if (name == stage_.inputs[i].name) return tensors[i];
    }
    return {};
  }

  const Stage& stage_;
  std::vector<TensorSpec> inputs_;
  WorkingPoint cuts_;
  int threads_;
  DeviceStream stream_;
};

NetworkFiles networks_of(const Model& model) {
  const Parameters& names = model.parameters();
  require(names, std::array{"embed", "filter", "gnn"});
  const std::filesystem::path repository = model.directory().parent_path();
  return {repository / names.at("embed"), repository / names.at("filter"), repository / names.at("gnn")};
}

class PipelineRunner final : public Runner {
 public:
  PipelineRunner(const Model& model, c10::Device device)
      : inputs_{features_spec(model.num_features())},
        cuts_(cuts_of(model, WorkingPoint::kFields)),
        engine_(device, networks_of(model), cuts_, model.threads()) {
    if (cuts_.num_features != model.num_features()) {
      throw ContractError("config.pbtxt has " + std::to_string(model.num_features()) +
                          " columns of FEATURES, and extra_features says " + std::to_string(cuts_.num_features));
    }
  }

  const DeviceStream& stream() const noexcept override { return engine_.stream(); }
  const std::vector<TensorSpec>& inputs() const noexcept override { return inputs_; }

  std::optional<std::int64_t> digest_of(const Tensors& tensors, std::string_view request_id) const override {
    return request_digest(features_digest(tensors[0]), request_id);
  }

  Outputs run(const Tensors& tensors, std::int64_t digest) override {
    Tracks tracks = engine_.find_tracks(tensors[0], check_gnn_memory);
    const at::Tensor proof = tensor_of(added(digest, payload_digest(tracks.labels)));
    return {{"LABELS", std::move(tracks.labels)},
            {"EDGE_INDEX", std::move(tracks.edge_index)},
            {"EDGE_SCORES", std::move(tracks.edge_scores)},
            {kRequestDigestSpec.name, proof}};
  }

 private:
  std::vector<TensorSpec> inputs_;
  WorkingPoint cuts_;
  Engine engine_;
};

}  // namespace

const char* const kBackend = "exatrkx";

std::unique_ptr<Runner> make_runner(const Model& model, c10::Device device) {
  const auto stage = known_stages().find(model.name());
  if (stage != known_stages().end()) return std::make_unique<StageRunner>(model, stage->second, device);
  return std::make_unique<PipelineRunner>(model, device);
}

}  // namespace exatrkx::triton
