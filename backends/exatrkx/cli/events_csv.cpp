#include "events_csv.hpp"

#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

#include "../engine/errors.hpp"

namespace exatrkx {

namespace {

std::string_view without_space(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r' || text.back() == '\t')) text.remove_suffix(1);
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  return text;
}

// Adds the numbers of a line; false where they are not so many.
bool read_line(std::string_view line, std::int64_t columns, std::vector<float>& features) {
  for (std::int64_t column = 0; column < columns; ++column) {
    const bool is_last = column + 1 == columns;
    const auto comma = line.find(',');
    if ((comma == std::string_view::npos) != is_last) return false;
    const std::string_view number = without_space(line.substr(0, comma));
    float value = 0.0F;
    const auto result = std::from_chars(number.data(), number.data() + number.size(), value);
    if (result.ec != std::errc() || result.ptr != number.data() + number.size()) return false;
    features.push_back(value);
    line.remove_prefix(is_last ? line.size() : comma + 1);
  }
  return true;
}

}  // namespace

std::vector<float> read_features(const std::filesystem::path& file, std::int64_t columns) {
  std::ifstream stream(file);
  if (!stream || std::filesystem::is_directory(file)) throw ContractError(file.string() + ": cannot be read");
  std::vector<float> features;
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    if (without_space(line).empty()) continue;
    if (!read_line(line, columns, features)) {
      const std::string expected = columns == 3 ? "three" : std::to_string(columns);
      throw ContractError(file.string() + ": line " + std::to_string(number) + ": expected " + expected +
                          " numbers, found '" + line + "'");
    }
  }
  return features;
}

}  // namespace exatrkx
