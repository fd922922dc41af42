// What the C++ of docs/athena.md uses of Athena, declared as Athena's public headers do: enough to compile it.
#pragma once

#include <cmath>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "host_digest.hpp"

enum class StatusCode { SUCCESS, FAILURE };
#define ATH_CHECK(expression) \
  if ((expression) != StatusCode::SUCCESS) return StatusCode::FAILURE
#define ATH_MSG_ERROR(text) (void)(text)

namespace Amg {
struct Vector3D {
  double perp() const;
  double phi() const;
  double z() const;
};
}  // namespace Amg

namespace Trk {
struct SpacePoint {
  const Amg::Vector3D& globalPosition() const;
};
}  // namespace Trk

namespace AthInfer {
using DataVariant = std::variant<std::vector<float>, std::vector<int64_t>>;
using InferenceData = std::pair<std::vector<int64_t>, DataVariant>;
using InputDataMap = std::map<std::string, InferenceData>;
using OutputDataMap = std::map<std::string, InferenceData>;
struct IAthInferenceTool {
  StatusCode inference(InputDataMap& inputs, OutputDataMap& outputs) const;
};
}  // namespace AthInfer
