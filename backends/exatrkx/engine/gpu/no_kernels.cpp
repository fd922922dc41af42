// In place of the kernels where the build has no CUDA. A Lane on a GPU is refused before anything comes here.
#include <stdexcept>

#include "kernels.hpp"

namespace exatrkx::gpu {

void launch(KernelName /*name*/, std::int64_t /*blocks*/, int /*threads*/, void** /*arguments*/, void* /*stream*/) {
  throw std::runtime_error("this build has no CUDA kernels");
}

}  // namespace exatrkx::gpu
