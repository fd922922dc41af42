#include "digest.hpp"

#include <ATen/ops/full.h>

#include <array>
#include <bit>
#include <cstdio>

namespace exatrkx {

namespace {

constexpr std::uint64_t kBitsFactor = 0x9E3779B97F4A7C15, kPositionFactor = 0xA0761D6478BD642F;
constexpr int kHalf = 32;
constexpr std::uint64_t kFnvPrime = 0x100000001B3;

}  // namespace

std::int64_t features_digest(const at::Tensor& features) {
  const at::Tensor host = features.cpu().contiguous();
  const float* values = host.const_data_ptr<float>();
  const auto size = static_cast<std::uint64_t>(host.numel());
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < size; ++i) {
    const auto bits = static_cast<std::int64_t>(std::bit_cast<std::int32_t>(values[i]));
    const std::uint64_t word = kBitsFactor * static_cast<std::uint64_t>(bits) + kPositionFactor * (size + i);
    sum += word * static_cast<std::uint64_t>(static_cast<std::int64_t>(word) >> kHalf);
  }
  return static_cast<std::int64_t>(sum);
}

std::int64_t request_digest(std::int64_t digest, std::string_view request_id) {
  auto state = static_cast<std::uint64_t>(digest);
  for (const char character : request_id) state = (state ^ static_cast<unsigned char>(character)) * kFnvPrime;
  return static_cast<std::int64_t>(state);
}

at::Tensor tensor_of(std::int64_t digest) { return at::full({1}, digest, at::TensorOptions().dtype(at::kLong)); }

std::string signature(std::optional<std::int64_t> digest) {
  std::array<char, 19> text{"unknown"};  // 0x, 16 digits and a zero
  if (digest) std::snprintf(text.data(), text.size(), "0x%016llx", static_cast<unsigned long long>(*digest));
  return std::string(" [request ") + text.data() + "]";
}

}  // namespace exatrkx
