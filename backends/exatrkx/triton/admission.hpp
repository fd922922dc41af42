// Admission control: how many requests wait in the server, and whether the memory for an event is free.
// exatrkx/serving/admission.py in C++; that file says why.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>
#include <vector>

#include "../engine/contract.hpp"
#include "api.hpp"

namespace exatrkx::triton {

// How many requests wait in the server, as its metrics said a moment ago, less those refused since then.
class Queue {
 public:
  explicit Queue(TRITONBACKEND_ModelInstance* instance);

  // Throws TritonError (unavailable) with the limit, EXATRKX_MAX_QUEUE, and the number found.
  void admit();

 private:
  [[nodiscard]] std::int64_t pending() const;

  TRITONSERVER_Server* server_ = nullptr;
  std::int64_t waiting_ = 0;
  std::chrono::steady_clock::time_point sampled_{};
};

// Memory that an event of this size needs: where it arrives, by its spacepoints; in the GNN, by its edges.
[[nodiscard]] std::int64_t needed_bytes(std::string_view model, const std::vector<at::Tensor>& inputs);

// Throws EventTooLargeError: the event needs more than EXATRKX_MAX_MEMORY_MB, where that is set. Throws TritonError
// (unavailable): more than is free of it.
void check_memory(std::int64_t needed);

// The same before the GNN, of its edges [2,E], by the step that knows whose they are.
void check_gnn_memory(const at::Tensor& edge_index);

}  // namespace exatrkx::triton
