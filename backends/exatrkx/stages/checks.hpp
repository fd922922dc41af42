// Checks of a tensor's entries before a stage runs: what exatrkx/checks.py refuses, and the same tensor and values
// named.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
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

// The two questions that are asked of every entry, in loops without a branch; where one is in trouble is looked up only
// when there is.
[[nodiscard]] inline bool all_numbers(const float* values, std::int64_t count) noexcept {
  bool nan = false;
  for (std::int64_t i = 0; i < count; ++i) nan |= std::isnan(values[i]);
  return !nan;
}

// In [0, num_nodes); with num_nodes < 0, which means not known, not negative.
[[nodiscard]] inline bool all_within(const std::int64_t* entries, std::int64_t count, std::int64_t num_nodes) noexcept {
  const auto last = static_cast<std::uint64_t>(num_nodes < 0 ? std::numeric_limits<std::int64_t>::max()
                                                             : num_nodes - 1);
  std::uint64_t signs = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto entry = static_cast<std::uint64_t>(entries[i]);
    signs |= entry | (last - entry);
  }
  return (signs >> 63) == 0;
}

// No score of [count] is NaN.
inline void check_no_nan(const float* scores, std::int64_t count, const std::string& name) {
  if (all_numbers(scores, count)) return;
  std::int64_t first = 0;
  while (!std::isnan(scores[first])) ++first;
  throw ContractError(name + ": entries must be numbers, found nan at entry " + std::to_string(first));
}

// Every entry of [2, count] is in [0, num_nodes), or not negative where num_nodes is not known.
inline void check_edge_index(const std::int64_t* edge_index, std::int64_t count, std::int64_t num_nodes,
                             const std::string& name) {
  if (all_within(edge_index, 2 * count, num_nodes)) return;
  const auto wrong = [&](std::int64_t entry) { return !all_within(&entry, 1, num_nodes); };
  std::int64_t column = 0;
  while (!wrong(edge_index[column]) && !wrong(edge_index[count + column])) ++column;
  const std::int64_t found = wrong(edge_index[column]) ? edge_index[column] : edge_index[count + column];
  throw ContractError(name + ": entries " +
                      (num_nodes < 0 ? "must not be negative" : "must be in [0, " + std::to_string(num_nodes) + ")") +
                      ", found " + std::to_string(found) + " at column " + std::to_string(column));
}

}  // namespace exatrkx::stages
