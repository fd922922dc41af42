// Columns of FEATURES that a served pipeline takes: exatrkx_client/served_features.py in C++.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kserve.pb.h"
#include "tracking_client.hpp"

namespace exatrkx {

// How many; those of the position alone where the model does not say.
[[nodiscard]] std::int64_t columns_of(const inference::ModelMetadataResponse& model);

// Those after the position, by the configuration's `extra_features`. Throws Error where it names others than there are,
// or none; `server` is in its text.
[[nodiscard]] std::vector<ExtraFeature> extra_of(const inference::ModelConfig& config, std::int64_t columns,
                                                 const std::string& server);

// std::invalid_argument with the names of those that are missing.
void require_columns(std::span<const ExtraFeature> extra, const Columns& columns);

}  // namespace exatrkx
