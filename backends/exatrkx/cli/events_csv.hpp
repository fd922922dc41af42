// Events for the command-line program: one file of features each.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace exatrkx {

// The features [N,columns], row after row: so many numbers in each line (r / 1000 mm, φ / π, z / 1000 mm, …), separated
// by commas, without a header. An empty file is an event without spacepoints.
//
// Throws ContractError: the file cannot be read, or a line is not so many numbers; the text names file and line.
[[nodiscard]] std::vector<float> read_features(const std::filesystem::path& file, std::int64_t columns);

}  // namespace exatrkx
