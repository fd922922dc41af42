// Digest of numbers in the host's memory: exatrkx/digest.py in C++, without torch, for the engine and client/cpp.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace exatrkx {

inline constexpr std::uint64_t kBitsFactor = 0x9E3779B97F4A7C15, kPositionFactor = 0xA0761D6478BD642F;
inline constexpr int kHalf = 32;
inline constexpr std::uint64_t kFnvPrime = 0x100000001B3;
inline constexpr std::size_t kPeriod = 64;

// Of features [N,F] FP32.
[[nodiscard]] inline std::int64_t features_digest(std::span<const float> values) {
  const std::uint64_t size = values.size();
  std::uint64_t sum = 0;
  for (std::uint64_t i = 0; i < size; ++i) {
    const auto bits = static_cast<std::int64_t>(std::bit_cast<std::int32_t>(values[i]));
    const std::uint64_t word = kBitsFactor * static_cast<std::uint64_t>(bits) + kPositionFactor * (size + i);
    sum += word * static_cast<std::uint64_t>(static_cast<std::int64_t>(word) >> kHalf);
  }
  return static_cast<std::int64_t>(sum);
}

// Of a tensor that travels beside a digest: INT64, or the bits of FP32 as INT32.
template <typename Word>
[[nodiscard]] std::int64_t payload_digest(std::span<const Word> words) {
  std::array<std::uint64_t, kPeriod> columns{};
  const std::size_t size = words.size(), whole = size - size % kPeriod;
  for (std::size_t first = 0; first < whole; first += kPeriod) {
    for (std::size_t i = 0; i < kPeriod; ++i) columns[i] += static_cast<std::uint64_t>(std::int64_t{words[first + i]});
  }
  for (std::size_t i = whole; i < size; ++i) columns[i - whole] += static_cast<std::uint64_t>(std::int64_t{words[i]});
  std::uint64_t sum = 0, power = 1;
  for (const std::uint64_t column : columns) sum += (power *= kBitsFactor) * column;
  return static_cast<std::int64_t>(sum);
}

// Modulo 2^64.
[[nodiscard]] inline std::int64_t added(std::int64_t digest, std::int64_t other) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(digest) + static_cast<std::uint64_t>(other));
}
[[nodiscard]] inline std::int64_t without(std::int64_t digest, std::int64_t other) noexcept {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(digest) - static_cast<std::uint64_t>(other));
}

// Of a request with this digest of its features, and this id.
[[nodiscard]] inline std::int64_t request_digest(std::int64_t digest, std::string_view request_id) {
  auto state = static_cast<std::uint64_t>(digest);
  for (const char character : request_id) state = (state ^ static_cast<unsigned char>(character)) * kFnvPrime;
  return static_cast<std::int64_t>(state);
}

// What is added to the text of an error: the request's digest, or that whose it was is unknown.
[[nodiscard]] inline std::string signature(std::optional<std::int64_t> digest) {
  std::array<char, 19> text{"unknown"};  // 0x, 16 digits and a zero
  if (digest) std::snprintf(text.data(), text.size(), "0x%016llx", static_cast<unsigned long long>(*digest));
  return std::string(" [request ") + text.data() + "]";
}

}  // namespace exatrkx
