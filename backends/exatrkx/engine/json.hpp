// JSON documents, read by picojson: one header under a BSD licence, of 34 kB where others have a megabyte, which is
// enough for the configurations of models, and bounds the nesting. Triton hands them over as JSON alone.
#pragma once

#define PICOJSON_USE_INT64
#include <picojson.h>

#include <string>

#include "errors.hpp"

namespace exatrkx {

// The value that is all of the text. Throws ContractError: it is no JSON.
[[nodiscard]] inline picojson::value parse_json(const std::string& text) {
  picojson::value value;
  auto rest = text.begin();
  const std::string error = picojson::parse(value, rest, text.end());
  const bool whole = text.find_first_not_of(" \t\r\n", static_cast<std::size_t>(rest - text.begin())) == text.npos;
  if (!error.empty() || !whole) throw ContractError("no JSON: " + (error.empty() ? "text after its end" : error));
  return value;
}

}  // namespace exatrkx
