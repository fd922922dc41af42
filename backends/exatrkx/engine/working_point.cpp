#include "working_point.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <system_error>
#include <vector>

#include "errors.hpp"

namespace exatrkx {

namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\f\v";
  const auto begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) - begin + 1);
}

// The text without a plus sign, which from_chars does not take.
std::string_view digits_of(std::string_view text) {
  text = trimmed(text);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  return text;
}

std::int64_t whole_number(const std::string& text) {
  const std::string_view digits = digits_of(text);
  std::int64_t value = 0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ec == std::errc::invalid_argument || result.ptr != digits.data() + digits.size()) {
    throw ContractError("invalid literal for int() with base 10: '" + text + "'");
  }
  // A cap beyond INT64 caps nothing, and neither does INT64's largest.
  using Limits = std::numeric_limits<std::int64_t>;
  if (result.ec == std::errc::result_out_of_range) return digits[0] == '-' ? Limits::min() : Limits::max();
  return value;
}

double real_number(const std::string& text) {
  const std::string_view digits = digits_of(text);
  double value = 0.0;
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (result.ec != std::errc() || result.ptr != digits.data() + digits.size()) {
    throw ContractError("could not convert string to float: '" + text + "'");
  }
  return value;
}

// The shortest text that reads back as the same number, with a point in it.
std::string shortest(double value) {
  std::array<char, 32> buffer{};
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
  std::string text(buffer.data(), result.ptr);
  return std::isfinite(value) && text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

void check(const WorkingPoint& cuts) {
  std::vector<std::string> problems;
  if (!(std::isfinite(cuts.radius) && cuts.radius > 0)) {
    problems.push_back("radius must be positive and finite, found " + shortest(cuts.radius));
  }
  const auto probability = [&](const char* name, double value) {
    if (value >= 0.0 && value <= 1.0) return;
    problems.push_back(std::string(name) + " must be a probability in [0, 1], found " + shortest(value));
  };
  const auto at_least_one = [&](const char* name, std::int64_t value) {
    if (value < 1) problems.push_back(std::string(name) + " must be at least 1, found " + std::to_string(value));
  };
  probability("filter_cut", cuts.filter_cut);
  probability("gnn_cut", cuts.gnn_cut);
  at_least_one("max_neighbors", cuts.max_neighbors);
  at_least_one("min_hits", cuts.min_hits);
  at_least_one("max_edges", cuts.max_edges);
  const auto& methods = WorkingPoint::kTrackBuilding;
  if (std::find(methods.begin(), methods.end(), cuts.track_building) == methods.end()) {
    std::string known;
    for (const char* method : methods) known += (known.empty() ? "" : " or ") + std::string(method);
    problems.push_back("track_building must be " + known + ", found " + cuts.track_building);
  }
  if (problems.empty()) return;
  std::string text = "working point: " + problems.front();
  for (std::size_t i = 1; i < problems.size(); ++i) text += "; " + problems[i];
  throw ContractError(text);
}

}  // namespace

WorkingPoint WorkingPoint::from_texts(const std::map<std::string, std::string, std::less<>>& texts,
                                      const std::string& source) {
  WorkingPoint cuts;
  const auto read = [&](const char* name, auto& field, auto parse) {
    const auto found = texts.find(name);
    if (found != texts.end()) field = parse(found->second);
  };
  try {
    read("radius", cuts.radius, real_number);
    read("max_neighbors", cuts.max_neighbors, whole_number);
    read("filter_cut", cuts.filter_cut, real_number);
    read("gnn_cut", cuts.gnn_cut, real_number);
    read("min_hits", cuts.min_hits, whole_number);
    read("max_edges", cuts.max_edges, whole_number);
    read("track_building", cuts.track_building, [](const std::string& text) { return text; });
    check(cuts);
  } catch (const ContractError& error) {
    throw ContractError(source + ": " + error.what());
  }
  return cuts;
}

}  // namespace exatrkx
