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
constexpr std::size_t kPeriod = 64;

template <typename Word>
std::int64_t digest_of(const Word* words, std::size_t size) {
  std::array<std::uint64_t, kPeriod> columns{};
  const std::size_t whole = size - size % kPeriod;
  for (std::size_t first = 0; first < whole; first += kPeriod) {
    for (std::size_t i = 0; i < kPeriod; ++i) columns[i] += static_cast<std::uint64_t>(std::int64_t{words[first + i]});
  }
  for (std::size_t i = whole; i < size; ++i) columns[i - whole] += static_cast<std::uint64_t>(std::int64_t{words[i]});
  std::uint64_t sum = 0, power = 1;
  for (const std::uint64_t column : columns) sum += (power *= kBitsFactor) * column;
  return static_cast<std::int64_t>(sum);
}

// Where it lies: one number comes back.
std::int64_t digest_on_gpu(const at::Tensor& words) {
  constexpr auto kColumns = static_cast<std::int64_t>(kPeriod);
  const std::int64_t rest = words.numel() % kColumns;
  const std::int64_t whole = words.numel() - rest;
  at::Tensor columns = words.slice(0, 0, whole).reshape({-1, kColumns}).sum(0, false, at::kLong);
  columns.slice(0, 0, rest).add_(words.slice(0, whole));
  const at::Tensor powers = at::full({kColumns}, static_cast<std::int64_t>(kBitsFactor), columns.options()).cumprod(0);
  return columns.mul_(powers).sum().item<std::int64_t>();
}

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

std::int64_t payload_digest(const at::Tensor& payload) {
  const at::Tensor flat = payload.contiguous().view({-1});
  const bool of_bits = flat.scalar_type() == at::kFloat;
  if (!flat.device().is_cpu()) return digest_on_gpu(of_bits ? flat.view(at::kInt) : flat);
  const auto size = static_cast<std::size_t>(flat.numel());
  if (of_bits) return digest_of(static_cast<const std::int32_t*>(flat.const_data_ptr()), size);
  return digest_of(flat.const_data_ptr<std::int64_t>(), size);
}

std::int64_t added(std::int64_t digest, std::int64_t other) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(digest) + static_cast<std::uint64_t>(other));
}

std::int64_t without(std::int64_t digest, std::int64_t other) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(digest) - static_cast<std::uint64_t>(other));
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
