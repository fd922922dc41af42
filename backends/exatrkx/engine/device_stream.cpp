#include "device_stream.hpp"

#include <ATen/Context.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <string>

#include "errors.hpp"
#include "gpu/launcher.hpp"

namespace exatrkx {

namespace {

std::optional<c10::Stream> own_stream(c10::Device device) {
  if (device.is_cpu()) return std::nullopt;
  if (!device.is_cuda()) throw ContractError(device.str() + ": expected cpu or cuda:N");
  if (!has_cuda()) throw ContractError(device.str() + ": this build has no CUDA, or torch finds no GPU");
  const c10::impl::VirtualGuardImpl cuda(device.type());
  if (device.has_index() && device.index() >= cuda.deviceCount()) {
    throw ContractError(device.str() + ": there are " + std::to_string(cuda.deviceCount()) + " GPUs");
  }
  return cuda.getStreamFromGlobalPool(device);
}

}  // namespace

bool has_cuda() { return gpu::has_kernels() && at::globalContext().hasCUDA(); }

DeviceStream::DeviceStream(c10::Device device)
    : device_(device.is_cuda() && !device.has_index() ? c10::Device(c10::kCUDA, 0) : device),
      stream_(own_stream(device_)) {}

}  // namespace exatrkx
