// The parameters that a model must have in its config.pbtxt.
#pragma once

#include <string>

#include "../engine/errors.hpp"
#include "model.hpp"

namespace exatrkx::triton {

inline constexpr const char* kParametersOfConfig = "parameters of config.pbtxt";

// Throws ContractError: some of `names` are not there; the text lists them.
template <class Names>
void require(const Parameters& parameters, const Names& names) {
  std::string missing;
  for (const char* name : names) {
    if (!parameters.contains(name)) missing += (missing.empty() ? "" : ", ") + std::string(name);
  }
  if (!missing.empty()) throw ContractError("config.pbtxt has no parameter " + missing);
}

}  // namespace exatrkx::triton
