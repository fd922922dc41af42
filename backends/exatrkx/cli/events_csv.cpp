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

// Adds the numbers of a line; false where they are not three.
bool read_line(std::string_view line, std::vector<float>& features) {
  for (int column = 0; column < 3; ++column) {
    const auto comma = line.find(',');
    if ((comma == std::string_view::npos) != (column == 2)) return false;
    const std::string_view number = without_space(line.substr(0, comma));
    float value = 0.0F;
    const auto result = std::from_chars(number.data(), number.data() + number.size(), value);
    if (result.ec != std::errc() || result.ptr != number.data() + number.size()) return false;
    features.push_back(value);
    line.remove_prefix(column == 2 ? line.size() : comma + 1);
  }
  return true;
}

}  // namespace

std::vector<float> read_features(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream || std::filesystem::is_directory(file)) throw ContractError(file.string() + ": cannot be read");
  std::vector<float> features;
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    if (without_space(line).empty()) continue;
    if (!read_line(line, features)) {
      throw ContractError(file.string() + ": line " + std::to_string(number) + ": expected three numbers, found '" +
                          line + "'");
    }
  }
  return features;
}

}  // namespace exatrkx
