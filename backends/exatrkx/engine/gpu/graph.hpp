// The stages between the networks on a GPU: the same functions as ../graph.hpp, with the same results, on its tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include "../working_point.hpp"

namespace exatrkx::gpu {

[[nodiscard]] at::Tensor fixed_radius_edges(const at::Tensor& embedding, const WorkingPoint& cuts);
[[nodiscard]] at::Tensor select_edges(const at::Tensor& edge_index, const at::Tensor& scores, float threshold);
[[nodiscard]] at::Tensor label_components(const at::Tensor& edge_index, const at::Tensor& scores,
                                          std::int64_t num_nodes, float threshold, std::int64_t min_hits);

// The stream that this thread works in on the tensor's device, as a cudaStream_t.
[[nodiscard]] void* current_stream(const at::Tensor& tensor);

}  // namespace exatrkx::gpu
