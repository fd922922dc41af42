#include "response.hpp"

#include "errors.hpp"
#include "memory.hpp"

namespace exatrkx::triton {

Response::Response(TRITONBACKEND_Request* request) { check(TRITONBACKEND_ResponseNew(&response_, request)); }

Response::~Response() {
  if (response_ != nullptr) send(TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_INTERNAL, "the request was not answered"));
}

void Response::add(const char* name, const at::Tensor& tensor) {
  const auto type = tensor.scalar_type() == at::kLong ? TRITONSERVER_TYPE_INT64 : TRITONSERVER_TYPE_FP32;
  TRITONBACKEND_Output* output = nullptr;
  check(TRITONBACKEND_ResponseOutput(response_, &output, name, type, tensor.sizes().data(),
                                     static_cast<std::uint32_t>(tensor.dim())));
  // The memory asked for, and on return the memory that it is.
  const bool on_gpu = tensor.is_cuda() && tensor.numel() > 0;
  auto memory = on_gpu ? TRITONSERVER_MEMORY_GPU : TRITONSERVER_MEMORY_CPU;
  std::int64_t memory_id = on_gpu ? tensor.device().index() : 0;
  void* buffer = nullptr;
  check(TRITONBACKEND_OutputBuffer(output, &buffer, tensor.nbytes(), &memory, &memory_id));
  if (tensor.numel() == 0) return;
  bytes_at(buffer, tensor.nbytes(), memory, memory_id).copy_(tensor.contiguous().view({-1}).view(at::kByte));
}

void Response::send(TRITONSERVER_Error* error) noexcept {
  log_if_error(TRITONBACKEND_ResponseSend(response_, TRITONSERVER_RESPONSE_COMPLETE_FINAL, error));
  response_ = nullptr;  // Triton's, sent or not
  if (error != nullptr) TRITONSERVER_ErrorDelete(error);
}

}  // namespace exatrkx::triton
