#include "digest.hpp"

#include <ATen/ops/full.h>

namespace exatrkx {

namespace {

template <typename Word>
std::span<const Word> entries(const at::Tensor& on_host) {
  return {static_cast<const Word*>(on_host.const_data_ptr()), static_cast<std::size_t>(on_host.numel())};
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
  return features_digest(entries<float>(host));
}

std::int64_t payload_digest(const at::Tensor& payload) {
  const at::Tensor flat = payload.contiguous().view({-1});
  const bool of_bits = flat.scalar_type() == at::kFloat;
  if (!flat.device().is_cpu()) return digest_on_gpu(of_bits ? flat.view(at::kInt) : flat);
  return of_bits ? payload_digest(entries<std::int32_t>(flat)) : payload_digest(entries<std::int64_t>(flat));
}

at::Tensor tensor_of(std::int64_t digest) { return at::full({1}, digest, at::TensorOptions().dtype(at::kLong)); }

}  // namespace exatrkx
