// The runner of a stage between the networks: models frnn, applyfilter and wcc of the ensemble.
#pragma once

#include <memory>

#include "runner.hpp"

namespace exatrkx::triton {

// Whether the model is one of the stages, by its name.
[[nodiscard]] bool is_stage(const Model& model);

// Of a model that is one. Throws ContractError: a parameter is missing, no number or out of range.
[[nodiscard]] std::unique_ptr<Runner> make_stage_runner(const Model& model, c10::Device device);

}  // namespace exatrkx::triton
