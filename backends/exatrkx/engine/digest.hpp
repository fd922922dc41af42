// Digest of FEATURES and of a request: exatrkx/digest.py in C++.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace exatrkx {

// Of features [N,3] FP32 on any device.
[[nodiscard]] std::int64_t features_digest(const at::Tensor& features);

// Of a tensor FP32 or INT64 that travels beside a digest, on any device.
[[nodiscard]] std::int64_t payload_digest(const at::Tensor& payload);

// Modulo 2^64.
[[nodiscard]] std::int64_t added(std::int64_t digest, std::int64_t other) noexcept;
[[nodiscard]] std::int64_t without(std::int64_t digest, std::int64_t other) noexcept;

// Of a request with this digest of its features, and this id.
[[nodiscard]] std::int64_t request_digest(std::int64_t digest, std::string_view request_id);

// As a tensor [1].
[[nodiscard]] at::Tensor tensor_of(std::int64_t digest);

// What is added to the text of an error: the request's digest, or that whose it was is unknown.
[[nodiscard]] std::string signature(std::optional<std::int64_t> digest);

}  // namespace exatrkx
