// The item of a thread, in a kernel with a thread for each spacepoint or edge.
#pragma once

__device__ inline long long global_thread() {
  return static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
}
