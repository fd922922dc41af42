#include "request.hpp"

#include <ATen/ops/empty.h>
#include <c10/util/accumulate.h>

#include <string>

#include "../engine/errors.hpp"
#include "errors.hpp"
#include "memory.hpp"

namespace exatrkx::triton {

namespace {

struct Properties {
  TRITONSERVER_DataType type{};
  const std::int64_t* shape = nullptr;
  std::uint32_t num_dims = 0;
  std::uint64_t byte_size = 0;
  std::uint32_t num_buffers = 0;

  [[nodiscard]] at::IntArrayRef dims() const { return {shape, num_dims}; }
};

Properties properties_of(TRITONBACKEND_Input* input) {
  Properties found;
  check(TRITONBACKEND_InputProperties(input, nullptr, &found.type, &found.shape, &found.num_dims, &found.byte_size,
                                      &found.num_buffers));
  return found;
}

at::ScalarType torch_type(TRITONSERVER_DataType type) {
  if (type == TRITONSERVER_TYPE_FP32) return at::kFloat;
  return type == TRITONSERVER_TYPE_INT64 ? at::kLong : at::ScalarType::Undefined;
}

void check_properties(const Properties& found, const TensorSpec& spec) {
  const at::ScalarType type = torch_type(found.type);
  if (!spec.accepts(type, found.dims())) {
    throw ContractError(std::string(spec.name) + ": expected " + spec.form() + ", found " +
                        TRITONSERVER_DataTypeString(found.type) + " " + text_of_dims(found.dims()));
  }
  // Triton's own product of a shape may overflow, and then be that of no bytes at all.
  std::uint64_t wanted = c10::elementSize(type);
  bool overflow = false;
  for (const std::int64_t size : found.dims()) overflow |= __builtin_mul_overflow(wanted, size, &wanted);
  if (overflow) {
    throw ContractError(std::string(spec.name) + ": expected a shape that fits in memory, found " +
                        text_of_dims(found.dims()));
  }
  if (found.byte_size != wanted) {
    throw ContractError(std::string(spec.name) + ": expected " + std::to_string(wanted) + " bytes for " +
                        text_of_dims(found.dims()) + ", found " + std::to_string(found.byte_size));
  }
}

// The bytes of a buffer of the input, where they are.
at::Tensor buffer_of(TRITONBACKEND_Input* input, std::uint32_t index, c10::Device device) {
  const void* buffer = nullptr;
  std::uint64_t size = 0;
  // The memory asked for, and on return the memory that it is.
  auto memory = device.is_cpu() ? TRITONSERVER_MEMORY_CPU : TRITONSERVER_MEMORY_GPU;
  std::int64_t memory_id = device.is_cpu() ? 0 : device.index();
  check(TRITONBACKEND_InputBuffer(input, index, &buffer, &size, &memory, &memory_id));
  // Only read: from_blob takes no pointer to const.
  return bytes_at(const_cast<void*>(buffer), size, memory, memory_id);
}

bool usable_in_place(const at::Tensor& bytes, const TensorSpec& spec, c10::Device device) {
  const auto address = reinterpret_cast<std::uintptr_t>(bytes.const_data_ptr());
  return bytes.device() == device && address % c10::elementSize(spec.type) == 0;
}

}  // namespace

at::Tensor Request::tensor(const TensorSpec& spec, c10::Device device) const {
  TRITONBACKEND_Input* input = nullptr;
  TRITONSERVER_Error* missing = TRITONBACKEND_RequestInput(request_, spec.name, &input);
  if (missing != nullptr) {
    TRITONSERVER_ErrorDelete(missing);
    if (spec.optional) return {};
    throw ContractError(std::string(spec.name) + ": expected " + spec.name + " " + spec.form() +
                        ", found no such input");
  }
  const Properties found = properties_of(input);
  check_properties(found, spec);
  if (found.num_buffers == 1 && found.byte_size > 0) {
    const at::Tensor bytes = buffer_of(input, 0, device);
    if (usable_in_place(bytes, spec, device)) return bytes.view(spec.type).view(found.dims());
  }
  const at::Tensor gathered = at::empty(found.dims(), at::TensorOptions().dtype(spec.type).device(device));
  const at::Tensor bytes = gathered.view({-1}).view(at::kByte);
  std::int64_t filled = 0;
  for (std::uint32_t index = 0; index < found.num_buffers; ++index) {
    const at::Tensor part = buffer_of(input, index, device);
    if (part.numel() == 0) continue;
    bytes.narrow(0, filled, part.numel()).copy_(part);
    filled += part.numel();
  }
  if (filled != bytes.numel()) {
    throw ContractError(std::string(spec.name) + ": expected " + std::to_string(bytes.numel()) +
                        " bytes in its buffers, found " + std::to_string(filled));
  }
  return gathered;
}

std::string Request::id() const {
  const char* id = nullptr;
  check(TRITONBACKEND_RequestId(request_, &id));
  return id == nullptr ? "" : id;
}

bool Request::wants(std::string_view output) const {
  std::uint32_t count = 0;
  check(TRITONBACKEND_RequestOutputCount(request_, &count));
  for (std::uint32_t index = 0; index < count; ++index) {
    const char* name = nullptr;
    check(TRITONBACKEND_RequestOutputName(request_, index, &name));
    if (output == name) return true;
  }
  return false;
}

}  // namespace exatrkx::triton
