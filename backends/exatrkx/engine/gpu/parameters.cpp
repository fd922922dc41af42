#include "parameters.hpp"

#include <string>

#include "../errors.hpp"

namespace exatrkx::gpu {

namespace {

constexpr std::int64_t kLayout = 1, kHeader = 8;  // as in exatrkx/networks/kernel_parameters.py

}  // namespace

ParameterParts::ParameterParts(const at::Tensor& parameters) : parameters_(parameters.contiguous()), next_(kHeader) {
  if (parameters_.scalar_type() != at::kFloat || parameters_.dim() != 1 || parameters_.numel() < kHeader) return;
  const at::Tensor header = parameters_.narrow(0, 0, kHeader).cpu();
  const auto* const number = header.const_data_ptr<float>();
  if (number[0] != static_cast<float>(kLayout)) return;
  kind_ = static_cast<NetworkKind>(static_cast<std::int64_t>(number[1]));
  for (std::size_t i = 0; i < sizes_.size(); ++i) sizes_[i] = static_cast<std::int64_t>(number[2 + i]);
}

at::Tensor ParameterParts::take(std::int64_t count) {
  if (count > parameters_.numel() - next_) {
    throw ContractError("kernel_parameters: expected at least " + std::to_string(next_ + count) + " numbers, found " +
                        std::to_string(parameters_.numel()));
  }
  at::Tensor part = parameters_.narrow(0, next_, count);
  next_ += count;
  return part;
}

void ParameterParts::finish() const {
  if (next_ == parameters_.numel()) return;
  throw ContractError("kernel_parameters: expected " + std::to_string(next_) + " numbers, found " +
                      std::to_string(parameters_.numel()));
}

}  // namespace exatrkx::gpu
