// CUDA kernel launcher: the kernels compiled for the GPU, and how the host starts them.
#include "kernels.hpp"

#include <cuda_runtime.h>

#include <stdexcept>
#include <string>

namespace neighbours {
// nvcc hands initialisers of members to the host's compiler too, which knows no such function.
__host__ __device__ inline double __dmul_rn(double a, double b) {
#ifdef __CUDA_ARCH__
  return ::__dmul_rn(a, b);
#else
  return a * b;
#endif
}
#include "../../stages/cuda/neighbours.cu"
}
namespace components {
#include "../../stages/cuda/components.cu"
}

namespace exatrkx::gpu {

namespace {

const void* function(KernelName name) {
  switch (name) {
    case KernelName::kFindCells: return reinterpret_cast<const void*>(&neighbours::find_cells);
    case KernelName::kCountNeighbours: return reinterpret_cast<const void*>(&neighbours::count_neighbours);
    case KernelName::kFindFurthest: return reinterpret_cast<const void*>(&neighbours::find_furthest);
    case KernelName::kFindEdges: return reinterpret_cast<const void*>(&neighbours::find_edges);
    case KernelName::kJoinEdges: return reinterpret_cast<const void*>(&components::join_edges);
    case KernelName::kFindRoots: return reinterpret_cast<const void*>(&components::find_roots);
  }
  return nullptr;
}

}  // namespace

bool has_kernels() noexcept { return true; }

void launch(KernelName name, std::int64_t blocks, int threads, void** arguments, void* stream) {
  const cudaError_t status =
      cudaLaunchKernel(function(name), dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads)),
                       arguments, 0, static_cast<cudaStream_t>(stream));
  if (status != cudaSuccess) throw std::runtime_error(std::string("CUDA: ") + cudaGetErrorString(status));
}

}  // namespace exatrkx::gpu
