// Inference request: its inputs as tensors, and the outputs that it asks for.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <string_view>

#include "../engine/contract.hpp"
#include "api.hpp"

namespace exatrkx::triton {

class Request {
 public:
  explicit Request(TRITONBACKEND_Request* request) : request_(request) {}

  // The input that `spec` names, on `device`. Where it lies there in one piece, it stays where it is: the tensor lives
  // no longer than the request.
  //
  // Undefined where it is not there and optional. Throws ContractError: it is not there, or has another type or shape;
  // TritonError.
  [[nodiscard]] at::Tensor tensor(const TensorSpec& spec, c10::Device device) const;

  // What the client calls it; empty unless it does.
  [[nodiscard]] std::string id() const;

  // Whether the request asks for this output.
  [[nodiscard]] bool wants(std::string_view output) const;

 private:
  TRITONBACKEND_Request* request_;
};

}  // namespace exatrkx::triton
