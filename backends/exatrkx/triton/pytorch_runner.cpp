// Runner of the backend `pytorch`, where the server brings none: one TorchScript network, `<model>/<version>/model.pt`.
// backends/pytorch/model.py in C++: the same parameters, and the same refusals.
#include <strings.h>

#include <stdexcept>
#include <string>

#include "../engine/digest.hpp"
#include "../engine/errors.hpp"
#include "../engine/graph.hpp"
#include "../engine/network.hpp"
#include "runner.hpp"

namespace exatrkx::triton {

namespace {

// The contract of a network: features, for a network of edges also these, and one output beside the features' digest.
struct Form {
  std::vector<TensorSpec> inputs;
  TensorSpec output;
};

Form form_of(const std::string& network, std::int64_t columns) {
  const TensorSpec features{"INPUT__0", at::kFloat, {kVariable, columns}};
  const TensorSpec edges{"INPUT__1", at::kLong, {2, kVariable}};
  if (network == "embed") return {{features}, {"OUTPUT__0", at::kFloat, {kVariable, kVariable}}};
  if (network == "filter" || network == "gnn") return {{features, edges}, {"OUTPUT__0", at::kFloat, {kVariable}}};
  throw ContractError("no network of the pipeline; known are embed, filter, gnn");
}

bool optimized(const Model& model) {
  const auto found = model.parameters().find("DISABLE_OPTIMIZED_EXECUTION");
  return found == model.parameters().end() || strcasecmp(found->second.c_str(), "true") != 0;
}

class NetworkRunner final : public Runner {
 public:
  NetworkRunner(const Model& model, c10::Device device)
      : form_(form_of(model.name(), model.num_features())),
        stream_(device),
        network_(model.version_directory() / "model.pt", stream_.device()),
        optimized_(optimized(model)) {}

  const DeviceStream& stream() const noexcept override { return stream_; }
  const std::vector<TensorSpec>& inputs() const noexcept override { return form_.inputs; }

  std::optional<std::int64_t> digest_of(const std::vector<at::Tensor>& tensors,
                                        std::string_view request_id) const override {
    if (of_edges()) return std::nullopt;
    return request_digest(features_digest(tensors[0]), request_id);
  }

  Outputs run(const std::vector<at::Tensor>& tensors, std::int64_t /*digest*/) override {
    const at::Tensor& features = tensors[0];
    check_finite(features, form_.inputs[0].name);
    if (of_edges()) check_edge_index(tensors[1], features.size(0), form_.inputs[1].name);
    std::int64_t digest = features_digest(features);
    if (of_edges()) digest = added(digest, payload_digest(tensors[1]));
    const NetworkScope scope(optimized_);
    const at::Tensor output =
        one_row_each(network_({tensors.begin(), tensors.end()}), of_edges() ? tensors[1].size(1) : features.size(0));
    return {{form_.output.name, output}, {"OUTPUT__1", tensor_of(added(digest, payload_digest(output)))}};
  }

 private:
  [[nodiscard]] bool of_edges() const noexcept { return form_.inputs.size() > 1; }

  // The network's output, [E,1] made [E]. Throws std::runtime_error, which is the server's fault, unless it has a row
  // for each spacepoint or edge.
  [[nodiscard]] at::Tensor one_row_each(const at::Tensor& output, std::int64_t rows) const {
    const TensorSpec& spec = form_.output;
    const at::Tensor flat = of_edges() && output.dim() == 2 ? output.reshape({-1}) : output;
    if (flat.dim() > 0 && flat.size(0) != rows) {
      throw std::runtime_error(std::string(spec.name) + ": the network returned " + std::to_string(flat.size(0)) +
                             " entries for " + std::to_string(rows));
    }
    try {
      check_form(flat, spec);
    } catch (const ContractError& error) {
      throw std::runtime_error(error.what());
    }
    return flat;
  }

  Form form_;
  DeviceStream stream_;
  Network network_;
  bool optimized_;
};

}  // namespace

const char* const kBackend = "pytorch";

std::unique_ptr<Runner> make_runner(const Model& model, c10::Device device) {
  return std::make_unique<NetworkRunner>(model, device);
}

}  // namespace exatrkx::triton
