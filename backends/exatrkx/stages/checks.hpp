// What is looked at in a tensor's content before a stage runs: exatrkx/checks.py, in C++ and with the same words.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include "errors.hpp"

namespace exatrkx::stages {

// The tensors' names in exatrkx/contract.py.
inline constexpr const char* kEmbedding = "EMBEDDING";
inline constexpr const char* kEdgeIndex = "EDGE_INDEX";
inline constexpr const char* kEdgeScores = "EDGE_SCORES";

// Every entry of [rows, columns] is a finite number.
inline void check_finite(const float* values, std::int64_t rows, std::int64_t columns, const std::string& name) {
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    if (std::isfinite(values[i])) continue;
    const std::string found = std::isnan(values[i]) ? "nan" : values[i] > 0 ? "inf" : "-inf";
    throw ContractError(name + ": entries must be finite, found " + found + " at row " + std::to_string(i / columns) +
                        ", column " + std::to_string(i % columns));
  }
}

// No score of [count] is NaN.
inline void check_no_nan(const float* scores, std::int64_t count, const std::string& name) {
  for (std::int64_t i = 0; i < count; ++i) {
    if (std::isnan(scores[i])) {
      throw ContractError(name + ": entries must be numbers, found nan at entry " + std::to_string(i));
    }
  }
}

// Every entry of [2, count] is in [0, num_nodes); with num_nodes < 0, which means not known, none is negative.
inline void check_edge_index(const std::int64_t* edge_index, std::int64_t count, std::int64_t num_nodes,
                             const std::string& name) {
  const auto wrong = [&](std::int64_t entry) { return entry < 0 || (num_nodes >= 0 && entry >= num_nodes); };
  for (std::int64_t e = 0; e < count; ++e) {
    const std::int64_t first = edge_index[e], second = edge_index[count + e];
    if (!wrong(first) && !wrong(second)) continue;
    const std::string allowed =
        num_nodes < 0 ? "must not be negative" : "must be in [0, " + std::to_string(num_nodes) + ")";
    throw ContractError(name + ": entries " + allowed + ", found " + std::to_string(wrong(first) ? first : second) +
                        " at column " + std::to_string(e));
  }
}

}  // namespace exatrkx::stages
