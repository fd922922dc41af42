#include "model.hpp"

#include <charconv>
#include <filesystem>
#include <map>
#include <memory>

#include "../engine/contract.hpp"
#include "../engine/errors.hpp"
#include "../engine/json.hpp"
#include "../engine/process.hpp"
#include "errors.hpp"

namespace exatrkx::triton {

namespace {

using Parameters = std::map<std::string, std::string, std::less<>>;

constexpr const char* kThreads = "INTRA_OP_THREAD_COUNT";  // as in Triton's LibTorch backend

std::string name_of(TRITONBACKEND_Model* model) {
  const char* name = nullptr;
  check(TRITONBACKEND_ModelName(model, &name));
  return name;
}

Json config_of(TRITONBACKEND_Model* model) {
  constexpr std::uint32_t kVersion = 1;
  TRITONSERVER_Message* message = nullptr;
  check(TRITONBACKEND_ModelConfig(model, kVersion, &message));
  const std::unique_ptr<TRITONSERVER_Message, void (*)(TRITONSERVER_Message*)> owner(
      message, [](TRITONSERVER_Message* owned) { log_if_error(TRITONSERVER_MessageDelete(owned)); });
  const char* text = nullptr;
  std::size_t size = 0;
  check(TRITONSERVER_MessageSerializeToJson(message, &text, &size));
  return Json::parse({text, size});
}

// The model repository: the parent of this model's directory in it.
std::filesystem::path repository_of(TRITONBACKEND_Model* model) {
  TRITONBACKEND_ArtifactType type{};
  const char* location = nullptr;
  check(TRITONBACKEND_ModelRepository(model, &type, &location));
  if (type != TRITONBACKEND_ARTIFACT_FILESYSTEM) throw ContractError("the model repository is no directory");
  std::filesystem::path directory = location;
  if (!directory.has_filename()) directory = directory.parent_path();  // a slash at the end
  return directory.parent_path();
}

Parameters parameters_of(const Json& config) {
  Parameters parameters;
  for (const auto& [name, value] : config["parameters"].members()) parameters[name] = value["string_value"].text();
  return parameters;
}

template <class Names>
void require(const Parameters& parameters, const Names& names) {
  std::string missing;
  for (const char* name : names) {
    if (!parameters.contains(name)) missing += (missing.empty() ? "" : ", ") + std::string(name);
  }
  if (!missing.empty()) throw ContractError("config.pbtxt has no parameter " + missing);
}

int threads_of(const Parameters& parameters) {
  const auto found = parameters.find(kThreads);
  if (found == parameters.end()) return default_threads();
  const std::string& text = found->second;
  int threads = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), threads);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || threads < 1) {
    throw ContractError(std::string(kThreads) + " must be at least 1, found '" + text + "'");
  }
  return threads;
}

std::vector<WarmUp> warm_ups_of(const Json& config) {
  std::vector<WarmUp> samples;
  for (const Json& sample : config["model_warmup"].elements()) {
    const Json& features = sample["inputs"][features_spec().name];
    if (features.is_null()) continue;
    WarmUp warm_up{sample["name"].is_null() ? "" : sample["name"].text(), {}};
    for (const Json& size : features["dims"].elements()) warm_up.dims.push_back(std::stoll(size.text()));
    samples.push_back(std::move(warm_up));
  }
  return samples;
}

}  // namespace

Model::Model(TRITONBACKEND_Model* model) : name_(name_of(model)) {
  const Json config = config_of(model);
  const Parameters parameters = parameters_of(config);
  require(parameters, WorkingPoint::kFields);
  cuts_ = WorkingPoint::from_texts(parameters, "parameters of config.pbtxt");
  require(parameters, std::array{"embed", "filter", "gnn"});
  const std::filesystem::path repository = repository_of(model);
  networks_ = {repository / parameters.at("embed"), repository / parameters.at("filter"),
               repository / parameters.at("gnn")};
  threads_ = threads_of(parameters);
  warm_ups_ = warm_ups_of(config);
  use_threads(threads_);
}

Engine Model::engine(c10::Device device) const { return Engine(device, networks_, cuts_, threads_); }

}  // namespace exatrkx::triton
