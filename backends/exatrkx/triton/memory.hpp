// Memory of Triton's requests and responses as torch's tensors.
#pragma once

#include <ATen/ops/from_blob.h>

#include <cstdint>

#include "api.hpp"

namespace exatrkx::triton {

[[nodiscard]] inline c10::Device device_of(TRITONSERVER_MemoryType memory, std::int64_t memory_id) {
  if (memory != TRITONSERVER_MEMORY_GPU) return c10::Device(c10::kCPU);
  return {c10::kCUDA, static_cast<c10::DeviceIndex>(memory_id)};
}

// The bytes [size] at `buffer`, not owned.
[[nodiscard]] inline at::Tensor bytes_at(void* buffer, std::uint64_t size, TRITONSERVER_MemoryType memory,
                                         std::int64_t memory_id) {
  return at::from_blob(buffer, {static_cast<std::int64_t>(size)},
                       at::TensorOptions().dtype(at::kByte).device(device_of(memory, memory_id)));
}

}  // namespace exatrkx::triton
