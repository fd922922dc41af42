// Parameters of a network in one row, as exatrkx/networks/kernel_parameters.py lays them down.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>

namespace exatrkx::gpu {

enum class NetworkKind : std::int64_t { kNone = 0, kEmbedding = 1, kFilter = 2, kGnn = 3 };

using NetworkSizes = std::array<std::int64_t, 6>;  // what each is, the Python module says

// Numbers that so many take, so that the next ones begin at a multiple of four.
[[nodiscard]] constexpr std::int64_t padded(std::int64_t count) noexcept { return (count + 3) / 4 * 4; }
[[nodiscard]] constexpr std::int64_t linear_size(std::int64_t in, std::int64_t out) noexcept {
  return out == 1 ? padded(in) + padded(1) : in * padded(out) + padded(out);
}
[[nodiscard]] constexpr std::int64_t layer_size(std::int64_t in, std::int64_t out) noexcept {
  return linear_size(in, out) + padded(out);
}

class ParameterParts {
 public:
  explicit ParameterParts(const at::Tensor& parameters);

  // kNone where the layout is not this one's.
  [[nodiscard]] NetworkKind kind() const noexcept { return kind_; }
  [[nodiscard]] const NetworkSizes& sizes() const noexcept { return sizes_; }

  // The next so many numbers. Throws ContractError where they are not there.
  [[nodiscard]] at::Tensor take(std::int64_t count);
  // Throws ContractError where some are left.
  void finish() const;

 private:
  at::Tensor parameters_;
  std::int64_t next_;
  NetworkKind kind_ = NetworkKind::kNone;
  NetworkSizes sizes_{};
};

}  // namespace exatrkx::gpu
