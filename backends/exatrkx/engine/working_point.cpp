#include "working_point.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <system_error>

#include "errors.hpp"

namespace exatrkx {

namespace {

// The text without what Python's int() and float() pass over: space around it, and a plus sign.
std::string_view digits_of(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n\f\v";
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  text = text.substr(0, text.find_last_not_of(kSpace) + 1);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  return text;
}

// Whether the whole text is such a number.
template <class Number>
bool read(const std::string& text, Number& number) {
  const std::string_view digits = digits_of(text);
  const auto result = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  return result.ec == std::errc() && result.ptr == digits.data() + digits.size();
}

void read_whole(const std::string& text, std::int64_t& number) {
  if (read(text, number)) return;
  // A cap beyond INT64, which JSON may write with an exponent, caps nothing, and neither does INT64's largest.
  double wide = 0.0;
  const bool beyond = read(text, wide) && std::abs(wide) >= 0x1p63;
  if (!beyond) throw ContractError("expected a whole number, found '" + text + "'");
  number = wide < 0 ? std::numeric_limits<std::int64_t>::min() : std::numeric_limits<std::int64_t>::max();
}

void read_real(const std::string& text, double& number) {
  if (!read(text, number)) throw ContractError("expected a number, found '" + text + "'");
}

void read_method(const std::string& text, std::string& method) { method = text; }

}  // namespace

WorkingPoint WorkingPoint::from_texts(const Texts& texts, const std::string& source) {
  WorkingPoint cuts;
  std::string problems;
  const auto add = [&](const std::string& problem) { problems += (problems.empty() ? ": " : "; ") + problem; };
  // Absent fields keep their defaults.
  const auto field = [&](const char* name, auto& value, auto read_value, const char* wanted, auto&& accepts) {
    const auto found = texts.find(name);
    if (found == texts.end()) return;
    try {
      read_value(found->second, value);
      if (!accepts(value)) add(std::string(name) + " must be " + wanted + ", found " + found->second);
    } catch (const ContractError& error) {
      add(std::string(name) + ": " + error.what());
    }
  };
  const auto probability = [](double value) { return value >= 0.0 && value <= 1.0; };
  const auto at_least_one = [](std::int64_t value) { return value >= 1; };
  const char* const kProbability = "a probability in [0, 1]";
  const char* const kAtLeastOne = "at least 1";
  field("radius", cuts.radius, read_real, "positive and finite", [](double r) { return std::isfinite(r) && r > 0; });
  field("max_neighbors", cuts.max_neighbors, read_whole, kAtLeastOne, at_least_one);
  field("filter_cut", cuts.filter_cut, read_real, kProbability, probability);
  field("gnn_cut", cuts.gnn_cut, read_real, kProbability, probability);
  field("min_hits", cuts.min_hits, read_whole, kAtLeastOne, at_least_one);
  field("max_edges", cuts.max_edges, read_whole, kAtLeastOne, at_least_one);
  field("track_building", cuts.track_building, read_method, "components or contraction",
        [](const std::string& method) { return method == kComponents || method == kContraction; });
  const auto in_range = [](double value) { return value >= 0.0 && value <= 100'000.0; };  // LONGEST_REACH
  const char* const kInRange = "from 0 to 100000";
  field("completion_reach", cuts.completion.reach, read_real, kInRange, in_range);
  field("completion_sigmas", cuts.completion.sigmas, read_real, kInRange, in_range);
  field("hit_resolution", cuts.completion.hit_resolution, read_real, kInRange, in_range);
  field("scattering_length", cuts.completion.scattering_length, read_real, kInRange, in_range);
  field("strip_resolution", cuts.completion.strip_resolution, read_real, kInRange, in_range);
  field("max_chance", cuts.completion.max_chance, read_real, kInRange, in_range);
  field("min_track_hits", cuts.min_track_hits, read_whole, kAtLeastOne, at_least_one);
  if (!problems.empty()) throw ContractError(source + problems);
  return cuts;
}

}  // namespace exatrkx
