// Inference response: outputs, or an error; sent once, whatever happens.
#pragma once

#include <ATen/core/Tensor.h>

#include "api.hpp"

namespace exatrkx::triton {

class Response {
 public:
  // Throws TritonError.
  explicit Response(TRITONBACKEND_Request* request);
  // Sends an error where nothing was sent.
  ~Response();
  Response(const Response&) = delete;
  Response& operator=(const Response&) = delete;

  // Copies a tensor, INT64 or FP32, into the memory that the server gives for this output. Throws TritonError.
  void add(const char* name, const at::Tensor& tensor);

  // Sends the outputs or, with `error`, that; the error is deleted.
  void send(TRITONSERVER_Error* error = nullptr) noexcept;

 private:
  TRITONBACKEND_Response* response_ = nullptr;
};

}  // namespace exatrkx::triton
