// Runner of a model instance: what it does with a request. Each backend of this folder is a library with a runner of
// its own.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "../engine/contract.hpp"
#include "../engine/device_stream.hpp"
#include "model.hpp"

namespace exatrkx::triton {

using Outputs = std::vector<std::pair<const char*, at::Tensor>>;  // by name

class Runner {
 public:
  virtual ~Runner() = default;

  // The device, and the stream on it that this works in.
  [[nodiscard]] virtual const DeviceStream& stream() const noexcept = 0;
  [[nodiscard]] virtual const std::vector<TensorSpec>& inputs() const noexcept = 0;
  // The digest of the request with this id that the tensors are of; none where they do not say: edges may be another's.
  //
  // Throws MixedRequestsError: they are of more than one.
  [[nodiscard]] virtual std::optional<std::int64_t> digest_of(const std::vector<at::Tensor>& tensors,
                                                              std::string_view request_id) const = 0;
  // One request's tensors in the order of `inputs`, of these forms, and on the stream's device, or on the host where
  // the input says so; and the digest of the request, where there is one.
  //
  // Throws ContractError and GraphTooLargeError: the request is at fault; and anything else.
  [[nodiscard]] virtual Outputs run(const std::vector<at::Tensor>& tensors, std::int64_t digest) = 0;
};

// The backend's name in config.pbtxt, and its runner; each library defines its own.
extern const char* const kBackend;
// Throws ContractError: the model's configuration or its files are not what the runner needs.
[[nodiscard]] std::unique_ptr<Runner> make_runner(const Model& model, c10::Device device);

}  // namespace exatrkx::triton
