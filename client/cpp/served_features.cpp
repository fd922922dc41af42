#include "served_features.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <string_view>

namespace exatrkx {

namespace {

constexpr const char* kParameter = "extra_features";
constexpr const char* kBlanks = " \t\n\r";

// NAME or NAME/SCALE; false where it is neither.
bool read(std::string_view entry, ExtraFeature& found) {
  const std::size_t slash = entry.find('/');
  const std::string_view name = entry.substr(0, slash);
  if (name.empty() || name.find_first_of(" \t\n\r=\\\"'{}") != std::string_view::npos) return false;
  double scale = 1.0;
  if (slash != std::string_view::npos) {
    const char* end = entry.data() + entry.size();
    const auto [stop, error] = std::from_chars(entry.data() + slash + 1, end, scale);
    if (error != std::errc() || stop != end || !std::isfinite(scale) || scale <= 0) return false;
  }
  found = {std::string(name), static_cast<float>(scale)};
  return true;
}

std::string quoted(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
  return text;
}

}  // namespace

std::int64_t columns_of(const inference::ModelMetadataResponse& model) {
  std::int64_t columns = kPositionColumns;
  for (const auto& input : model.inputs()) {
    if (input.name() == "FEATURES" && input.shape_size() == 2) columns = std::max(columns, input.shape(1));
  }
  return columns;
}

std::vector<ExtraFeature> extra_of(const inference::ModelConfig& config, std::int64_t columns,
                                   const std::string& server) {
  const std::string takes = server + ": takes " + std::to_string(columns) + " columns of FEATURES, and ";
  const auto place = config.parameters().find(kParameter);
  if (place == config.parameters().end()) throw Error(Error::Kind::model, takes + "does not name them: send features");
  const std::string_view text = place->second.string_value();
  std::vector<ExtraFeature> found;
  std::set<std::string> names;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t comma = std::min(text.find(',', start), text.size());
    std::string_view entry = text.substr(start, comma - start);
    start = comma + 1;
    const std::size_t first = std::min(entry.find_first_not_of(kBlanks), entry.size());
    entry = entry.substr(first, entry.find_last_not_of(kBlanks) + 1 - first);
    ExtraFeature one;
    if (!read(entry, one) || !names.insert(one.name).second) {
      throw Error(Error::Kind::model, takes + "its extra_features are no list of NAME or NAME/SCALE: " + std::string(text));
    }
    found.push_back(one);
  }
  if (static_cast<std::int64_t>(found.size() + kPositionColumns) != columns) {
    throw Error(Error::Kind::model,
                takes + "its extra_features name " + std::to_string(found.size()) + " after the position");
  }
  return found;
}

void require_columns(std::span<const ExtraFeature> extra, const Columns& columns) {
  std::vector<std::string> missing, there;
  std::string taken;
  for (const auto& [name, scale] : extra) {
    taken += (taken.empty() ? "" : ", ") + name;
    if (!columns.contains(name)) missing.push_back(name);
  }
  if (missing.empty()) return;
  for (const auto& [name, values] : columns) there.push_back(name);
  throw std::invalid_argument("column " + quoted(missing) + " is missing: the networks take " + taken +
                              " beside the position; found " + (there.empty() ? "none" : quoted(there)));
}

}  // namespace exatrkx
