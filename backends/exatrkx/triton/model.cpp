#include "model.hpp"

#include <ATen/Parallel.h>

#include <charconv>
#include <memory>

#include "../engine/contract.hpp"
#include "../engine/errors.hpp"
#include "../engine/json.hpp"
#include "../engine/process.hpp"
#include "errors.hpp"

namespace exatrkx::triton {

namespace {

constexpr const char* kThreads = "INTRA_OP_THREAD_COUNT";  // as in Triton's LibTorch backend

std::string name_of(TRITONBACKEND_Model* model) {
  const char* name = nullptr;
  check(TRITONBACKEND_ModelName(model, &name));
  return name;
}

picojson::value config_of(TRITONBACKEND_Model* model) {
  constexpr std::uint32_t kVersion = 1;
  TRITONSERVER_Message* message = nullptr;
  check(TRITONBACKEND_ModelConfig(model, kVersion, &message));
  const std::unique_ptr<TRITONSERVER_Message, void (*)(TRITONSERVER_Message*)> owner(
      message, [](TRITONSERVER_Message* owned) { log_if_error(TRITONSERVER_MessageDelete(owned)); });
  const char* text = nullptr;
  std::size_t size = 0;
  check(TRITONSERVER_MessageSerializeToJson(message, &text, &size));
  return parse_json({text, size});
}

std::uint64_t version_of(TRITONBACKEND_Model* model) {
  std::uint64_t version = 0;
  check(TRITONBACKEND_ModelVersion(model, &version));
  return version;
}

std::filesystem::path directory_of(TRITONBACKEND_Model* model) {
  TRITONBACKEND_ArtifactType type{};
  const char* location = nullptr;
  check(TRITONBACKEND_ModelRepository(model, &type, &location));
  if (type != TRITONBACKEND_ARTIFACT_FILESYSTEM) throw ContractError("the model repository is no directory");
  const std::filesystem::path directory = location;
  return directory.has_filename() ? directory : directory.parent_path();  // a slash at the end
}

// The members of an object; none where this is something else.
const picojson::object& members_of(const picojson::value& value) {
  static const picojson::object kNone;
  return value.is<picojson::object>() ? value.get<picojson::object>() : kNone;
}

Parameters parameters_of(const picojson::value& config) {
  Parameters parameters;
  for (const auto& [name, value] : members_of(config.get("parameters"))) {
    parameters[name] = value.get("string_value").to_str();
  }
  return parameters;
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

std::vector<WarmUp> warm_ups_of(const picojson::value& config) {
  std::vector<WarmUp> samples;
  const picojson::value& listed = config.get("model_warmup");
  if (!listed.is<picojson::array>()) return samples;
  for (const picojson::value& sample : listed.get<picojson::array>()) {
    WarmUp warm_up{sample.get("name").to_str(), {}};
    for (const auto& [input, entry] : members_of(sample.get("inputs"))) {
      std::vector<std::int64_t>& dims = warm_up.dims[input];
      // Triton writes INT64 as text.
      for (const auto& size : entry.get("dims").get<picojson::array>()) dims.push_back(std::stoll(size.to_str()));
    }
    samples.push_back(std::move(warm_up));
  }
  return samples;
}

std::int64_t num_features_of(const picojson::value& config) {
  const picojson::value& listed = config.get("input");
  if (!listed.is<picojson::array>()) return kNumFeatures;
  for (const picojson::value& input : listed.get<picojson::array>()) {
    const std::string name = input.get("name").to_str();
    const auto& dims = input.get("dims").get<picojson::array>();
    if ((name == "FEATURES" || name == "INPUT__0") && dims.size() > 1) return std::stoll(dims[1].to_str());
  }
  return kNumFeatures;
}

}  // namespace

void require(const Parameters& parameters, std::span<const char* const> names) {
  std::string missing;
  for (const char* name : names) {
    if (!parameters.contains(name)) missing += (missing.empty() ? "" : ", ") + std::string(name);
  }
  if (!missing.empty()) throw ContractError("config.pbtxt has no parameter " + missing);
}

Model::Model(TRITONBACKEND_Model* model)
    : name_(name_of(model)),
      directory_(directory_of(model)),
      version_directory_(directory_ / std::to_string(version_of(model))) {
  const picojson::value config = config_of(model);
  parameters_ = parameters_of(config);
  num_features_ = num_features_of(config);
  threads_ = threads_of(parameters_);
  warm_ups_ = warm_ups_of(config);
  at::set_num_threads(threads_);  // of the whole process
}

}  // namespace exatrkx::triton
