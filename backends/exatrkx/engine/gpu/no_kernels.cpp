// Stub of the kernel launcher where the build has no CUDA: a DeviceStream on a GPU is refused before any is launched.
#include <stdexcept>

#include "launcher.hpp"

namespace exatrkx::gpu {

bool has_kernels() noexcept { return false; }

void launch(KernelName /*name*/, std::int64_t /*blocks*/, int /*threads*/, void** /*arguments*/, void* /*stream*/) {
  throw std::runtime_error("this build has no CUDA kernels");
}

}  // namespace exatrkx::gpu
