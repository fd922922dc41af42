// Graph stages, the three between the networks, on torch's tensors: from points to edges, to fewer edges, to labels.
// They work on the device of the tensors that they are given, and leave their results there, but for completed labels.
#pragma once

#include <ATen/core/Tensor.h>

#include "working_point.hpp"

namespace exatrkx {

// Every entry of [N,D] is finite. Throws ContractError with the first that is not.
void check_finite(const at::Tensor& values, const char* name);

// Every entry of [2,E] is in [0, num_nodes). Throws ContractError with the first that is not.
void check_edge_index(const at::Tensor& edge_index, std::int64_t num_nodes, const char* name);

// [2,E] edges between the points of `embedding` [N,D]; see exatrkx/stages/edges.py.
// Throws ContractError, and GraphTooLargeError before memory is spent on more than `cuts.max_edges` edges.
[[nodiscard]] at::Tensor fixed_radius_edges(const at::Tensor& embedding, const WorkingPoint& cuts, int threads);

// The edges [2,E'] with a score above logit(cuts.filter_cut); see exatrkx/stages/edges.py. Throws ContractError.
[[nodiscard]] at::Tensor select_edges(const at::Tensor& edge_index, const at::Tensor& scores, const WorkingPoint& cuts,
                                      int threads);

// The labels [N] of the candidates that cuts.track_building makes; see exatrkx/stages/track_building.py. `features` [N,3]
// are for track completion alone, and else may be undefined; what that has completed is on the host. Throws ContractError.
[[nodiscard]] at::Tensor label_tracks(const at::Tensor& edge_index, const at::Tensor& scores, std::int64_t num_nodes,
                                      const WorkingPoint& cuts, const at::Tensor& features, int threads);

}  // namespace exatrkx
