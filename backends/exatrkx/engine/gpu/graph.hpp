// Stages between the networks on a GPU: the same functions as ../graph.hpp, with the same results, on its tensors.
//
// What decides is written once, in the kernels (../../stages/cuda). What drives them is written twice, here with
// torch's tensors and in exatrkx/stages/cuda.py and track_building.py with CuPy's arrays: memory, launches, running sums
// and the one number that is waited for. The Python models run where nobody has compiled anything, and without torch;
// the engine runs without Python; so neither can call the other. Both are tested with the same kernels on host threads
// against the CPU's answers. Track completion is the exception: here alone a GPU does it, with kernels of its own.
#pragma once

#include <ATen/core/Tensor.h>

#include "../working_point.hpp"

namespace exatrkx::gpu {

[[nodiscard]] at::Tensor fixed_radius_edges(const at::Tensor& embedding, const WorkingPoint& cuts);
[[nodiscard]] at::Tensor select_edges(const at::Tensor& edge_index, const at::Tensor& scores, float threshold);
// Components, or clusters.
[[nodiscard]] at::Tensor label_tracks(const at::Tensor& edge_index, const at::Tensor& scores, std::int64_t num_nodes,
                                      float threshold, std::int64_t min_hits, bool clusters);
// `features` [N,3] FP32 on the host, contiguous and finite. The labels that are returned are on the host, too.
[[nodiscard]] at::Tensor complete_tracks(const at::Tensor& features, const at::Tensor& labels, const WorkingPoint& cuts,
                                         int threads);

// Throws ContractError for the first NaN score or index out of range, copying all to the host to find it.
// `num_nodes` < 0: not known.
void refuse_entries(const at::Tensor& edge_index, const at::Tensor& scores, std::int64_t num_nodes);

// The stream that this thread works in on the tensor's device, as a cudaStream_t.
[[nodiscard]] void* current_stream(const at::Tensor& tensor);

}  // namespace exatrkx::gpu
