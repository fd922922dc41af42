// Model configuration: what config.pbtxt says of a model that names this backend.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "api.hpp"

namespace exatrkx::triton {

using Parameters = std::map<std::string, std::string, std::less<>>;

inline constexpr const char* kParametersOfConfig = "parameters of config.pbtxt";

// Throws ContractError: some of `names` are not there; the text lists them.
void require(const Parameters& parameters, std::span<const char* const> names);

// A sample of the configuration's model_warmup: zeros of these sizes for each input that it names.
struct WarmUp {
  std::string name;
  std::map<std::string, std::vector<std::int64_t>, std::less<>> dims;
};

class Model {
 public:
  // Throws ContractError: the number of threads is none; TritonError.
  explicit Model(TRITONBACKEND_Model* model);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  // The model's in the repository, and that of the version which is loaded, in it.
  [[nodiscard]] const std::filesystem::path& directory() const noexcept { return directory_; }
  [[nodiscard]] const std::filesystem::path& version_directory() const noexcept { return version_directory_; }
  [[nodiscard]] const Parameters& parameters() const noexcept { return parameters_; }
  // Columns of FEATURES, or of a network's INPUT__0; those of the position where there is neither.
  [[nodiscard]] std::int64_t num_features() const noexcept { return num_features_; }
  // Of every operation of a network, and of the stages between them.
  [[nodiscard]] int threads() const noexcept { return threads_; }
  [[nodiscard]] const std::vector<WarmUp>& warm_ups() const noexcept { return warm_ups_; }

 private:
  std::string name_;
  std::filesystem::path directory_;
  std::filesystem::path version_directory_;
  Parameters parameters_;
  std::int64_t num_features_;
  int threads_;
  std::vector<WarmUp> warm_ups_;
};

}  // namespace exatrkx::triton
