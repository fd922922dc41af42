// The ensemble's stages between the networks, as models of their own: frnn, applyfilter and wcc. The Python models of
// the model repository in C++: the same parameters, and the same refusals.
#include "stage_runner.hpp"

#include <ATen/ops/full.h>

#include <map>
#include <optional>
#include <string>

#include "../engine/errors.hpp"
#include "../engine/graph.hpp"
#include "../engine/compute_slots.hpp"
#include "../stages/checks.hpp"
#include "parameters.hpp"

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
const TensorSpec kNumNodesSpec{"NUM_NODES", at::kLong, {1}};

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
  return {{"FILTERED_EDGE_INDEX", select_edges(edge_index, scores, cuts, threads)}};
}

Outputs wcc(const Tensors& tensors, const WorkingPoint& cuts, int /*threads*/) {
  const at::Tensor& edge_index = tensors[0];
  const std::int64_t count = tensors[2].item<std::int64_t>();
  check_num_nodes(count, kNumNodesSpec.name);
  const at::Tensor scores = one_score_each(tensors[1], edge_index.size(1));
  return {{"LABELS", label_tracks(edge_index, scores, count, cuts)},
          {stages::kEdgeIndex, edge_index},
          {stages::kEdgeScores, scores}};
}

// By the model's name.
const std::map<std::string, Stage, std::less<>>& known_stages() {
  static const std::map<std::string, Stage, std::less<>> kStages{
      {"frnn", {{"radius", "max_neighbors", "max_edges"}, {embedding_spec()}, frnn}},
      {"applyfilter", {{"filter_cut"}, {edge_scores_spec(), kEdgeIndexSpec}, applyfilter}},
      {"wcc", {{"gnn_cut", "min_hits", "track_building"}, {kEdgeIndexSpec, edge_scores_spec(), kNumNodesSpec}, wcc}},
  };
  return kStages;
}

// The working point as one stage reads it: other fields mean nothing to it, and have any value that is allowed.
WorkingPoint cuts_of(const Model& model, const Stage& stage) {
  require(model.parameters(), stage.parameters);
  Parameters texts{{"radius", "1"}, {"max_neighbors", "1"}, {"filter_cut", "0.5"}, {"gnn_cut", "0.5"}};
  for (const char* name : stage.parameters) texts[name] = model.parameters().at(name);
  return WorkingPoint::from_texts(texts, kParametersOfConfig);
}

class StageRunner final : public Runner {
 public:
  StageRunner(const Model& model, const Stage& stage, c10::Device device)
      : stage_(stage), cuts_(cuts_of(model, stage)), threads_(model.threads()), stream_(device) {}

  const DeviceStream& stream() const noexcept override { return stream_; }
  const std::vector<TensorSpec>& inputs() const noexcept override { return stage_.inputs; }

  Outputs run(const Tensors& tensors) override {
    std::optional<ComputeSlot> slot;  // a GPU has queues of its own
    if (stream_.device().is_cpu()) slot.emplace(process_slots());
    return stage_.run(tensors, cuts_, threads_);
  }

 private:
  const Stage& stage_;
  WorkingPoint cuts_;
  int threads_;
  DeviceStream stream_;
};

}  // namespace

bool is_stage(const Model& model) { return known_stages().contains(model.name()); }

std::unique_ptr<Runner> make_stage_runner(const Model& model, c10::Device device) {
  return std::make_unique<StageRunner>(model, known_stages().at(model.name()), device);
}

}  // namespace exatrkx::triton
