// CUDA kernel launcher: the kernels compiled for the GPU, and how the host starts them.
#include "launcher.hpp"

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

#include "completion.cuh"

namespace kernels {
#include "../../networks/cuda/embedding.cu"
#include "../../networks/cuda/filter.cu"
#include "../../networks/cuda/gnn.cu"
// nvcc hands initialisers of members to the host's compiler too, which knows no such function.
__host__ __device__ inline double __dmul_rn(double a, double b) {
#ifdef __CUDA_ARCH__
  return ::__dmul_rn(a, b);
#else
  return a * b;
#endif
}
#include "../../stages/cuda/components.cu"
#include "../../stages/cuda/contraction.cu"
#include "../../stages/cuda/grid.cu"
#include "../../stages/cuda/neighbours.cu"
#include "../../stages/cuda/selection.cu"
}

namespace exatrkx::gpu {

namespace {

#define EXATRKX_FUNCTION(kernel) reinterpret_cast<const void*>(&kernels::kernel),
const void* const kFunctions[] = {EXATRKX_KERNELS(EXATRKX_FUNCTION)};
#undef EXATRKX_FUNCTION

}  // namespace

bool has_kernels() noexcept { return true; }

void launch(KernelName name, std::int64_t blocks, int threads, void** arguments, void* stream) {
  const cudaError_t status =
      cudaLaunchKernel(kFunctions[static_cast<int>(name)], dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads)),
                       arguments, 0, static_cast<cudaStream_t>(stream));
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());  // or the next check of PyTorch's would find this one
  throw std::runtime_error(std::string("CUDA: ") + cudaGetErrorString(status));
}

}  // namespace exatrkx::gpu
