// Networks of this project as kernels (../../networks/cuda), in place of TorchScript's operators: a user's own network
// has no such form, and runs as TorchScript.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

namespace exatrkx::gpu {

class KernelNetwork {
 public:
  virtual ~KernelNetwork() = default;

  // What the network makes of features [N,F] and, unless it is the embedding, edges [2,E] with entries in [0, N).
  [[nodiscard]] virtual at::Tensor operator()(const at::Tensor& features, const at::Tensor& edge_index) const = 0;
};

// `parameters`: what exatrkx/networks/kernel_parameters.py says of a network, on the device on which it is to run. Null
// where the kernels are for other sizes. Throws ContractError where there are more or fewer numbers than those sizes take.
[[nodiscard]] std::unique_ptr<KernelNetwork> kernel_network(const at::Tensor& parameters);

// The table of nodes [N,8] of features [N,F], from which networks of edges start: Node of networks/cuda/geometry.cuh.
[[nodiscard]] at::Tensor described_nodes(const at::Tensor& features);

}  // namespace exatrkx::gpu
