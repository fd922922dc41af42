// Errors of the stages, of the same categories as in exatrkx/errors.py: each text names the tensor and the values
// found, so that a client learns the same whichever implementation served it; tests hold the two together.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace exatrkx::stages {

// A tensor or a parameter does not keep the contract.
struct ContractError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};

// A graph would have more edges than allowed, at least the `found` ones: thrown before memory is spent on them.
struct GraphTooLargeError : std::runtime_error {
  GraphTooLargeError(const std::string& tensor, std::int64_t num_nodes, std::int64_t max_edges, std::int64_t found)
      : std::runtime_error(tensor + ": more than max_edges = " + std::to_string(max_edges) + " edges among " +
                           std::to_string(num_nodes) + " spacepoints, found at least " + std::to_string(found)) {}
};

}  // namespace exatrkx::stages
