// A request: its FEATURES as a tensor, and the outputs that it asks for.
#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "api.hpp"

namespace exatrkx::triton {

class Request {
 public:
  explicit Request(TRITONBACKEND_Request* request) : request_(request) {}

  // FEATURES [N,3] on `device`. Where they lie there in one piece, they stay where they are: the tensor lives no longer
  // than the request.
  //
  // Throws ContractError: they are not there, or have another type or shape; TritonError.
  [[nodiscard]] at::Tensor features(c10::Device device) const;

  // Whether the request asks for this output.
  [[nodiscard]] bool wants(std::string_view output) const;

 private:
  TRITONBACKEND_Request* request_;
};

}  // namespace exatrkx::triton
