// The backend `exatrkx`: the whole pipeline, or one of the ensemble's stages between the networks.
#include <array>

#include "../engine/engine.hpp"
#include "parameters.hpp"
#include "runner.hpp"
#include "stage_runner.hpp"

namespace exatrkx::triton {

namespace {

WorkingPoint cuts_of(const Model& model) {
  require(model.parameters(), WorkingPoint::kFields);
  return WorkingPoint::from_texts(model.parameters(), kParametersOfConfig);
}

NetworkFiles networks_of(const Model& model) {
  const Parameters& names = model.parameters();
  require(names, std::array{"embed", "filter", "gnn"});
  const std::filesystem::path repository = model.directory().parent_path();
  return {repository / names.at("embed"), repository / names.at("filter"), repository / names.at("gnn")};
}

class PipelineRunner final : public Runner {
 public:
  PipelineRunner(const Model& model, c10::Device device)
      : cuts_(cuts_of(model)), engine_(device, networks_of(model), cuts_, model.threads()) {}

  const DeviceStream& stream() const noexcept override { return engine_.stream(); }
  const std::vector<TensorSpec>& inputs() const noexcept override { return inputs_; }

  Outputs run(const std::vector<at::Tensor>& tensors) override {
    Tracks tracks = engine_.find_tracks(tensors[0]);
    return {{"LABELS", std::move(tracks.labels)},
            {"EDGE_INDEX", std::move(tracks.edge_index)},
            {"EDGE_SCORES", std::move(tracks.edge_scores)}};
  }

 private:
  std::vector<TensorSpec> inputs_{features_spec()};
  WorkingPoint cuts_;
  Engine engine_;
};

}  // namespace

const char* const kBackend = "exatrkx";

std::unique_ptr<Runner> make_runner(const Model& model, c10::Device device) {
  if (is_stage(model)) return make_stage_runner(model, device);
  return std::make_unique<PipelineRunner>(model, device);
}

}  // namespace exatrkx::triton
