// Digest of FEATURES and of a request, of tensors on any device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "host_digest.hpp"

namespace exatrkx {

// Of features [N,3] FP32 on any device.
[[nodiscard]] std::int64_t features_digest(const at::Tensor& features);

// Of a tensor FP32 or INT64 that travels beside a digest, on any device.
[[nodiscard]] std::int64_t payload_digest(const at::Tensor& payload);

// As a tensor [1].
[[nodiscard]] at::Tensor tensor_of(std::int64_t digest);

}  // namespace exatrkx
