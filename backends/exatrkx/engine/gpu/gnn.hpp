// GNN as kernels: what they compute is exatrkx/networks/triplet_network.py.
#pragma once

#include <vector>

#include "networks.hpp"
#include "parameters.hpp"

namespace exatrkx::gpu {

// Nothing is waited for: no size depends on what is found. Of E edges it takes some 280 bytes each, and 4 more for each
// of the most continuations.
class GnnKernels final : public KernelNetwork {
 public:
  [[nodiscard]] static bool fit(const NetworkSizes& sizes);

  GnnKernels(ParameterParts parts, const NetworkSizes& sizes);

  // Throws GraphTooLargeError for more edges than the kernels can count.
  [[nodiscard]] at::Tensor operator()(const at::Tensor& features, const at::Tensor& edge_index) const override;

 private:
  std::int64_t most_;  // continuations of an edge that are looked at
  at::Tensor encoder_, triplet_;
  std::vector<at::Tensor> rounds_;
};

}  // namespace exatrkx::gpu
