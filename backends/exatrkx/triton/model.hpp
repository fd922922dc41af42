// A model of the repository that names this backend: what its config.pbtxt says.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../engine/engine.hpp"
#include "api.hpp"

namespace exatrkx::triton {

// A sample of the configuration's model_warmup: so many spacepoints of zeros.
struct WarmUp {
  std::string name;
  std::vector<std::int64_t> dims;
};

class Model {
 public:
  // Throws ContractError: a parameter is missing, not a number or out of range; TritonError.
  explicit Model(TRITONBACKEND_Model* model);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::vector<WarmUp>& warm_ups() const noexcept { return warm_ups_; }

  // A new engine with the networks that the configuration names. Throws what Engine does.
  [[nodiscard]] Engine engine(c10::Device device) const;

 private:
  std::string name_;
  NetworkFiles networks_;
  WorkingPoint cuts_;
  int threads_;
  std::vector<WarmUp> warm_ups_;
};

}  // namespace exatrkx::triton
