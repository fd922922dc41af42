// Pipeline engine: all stages on one device, with no server in it: exatrkx/pipeline.py in C++.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>

#include "device_stream.hpp"
#include "working_point.hpp"

namespace exatrkx {

// TorchScript files, as export/trace_models.py writes them.
struct NetworkFiles {
  std::filesystem::path embed;
  std::filesystem::path filter;
  std::filesystem::path gnn;
};

// What is found in an event of N spacepoints, on the engine's device.
struct Tracks {
  at::Tensor labels;       // [N] INT64; -1, or the number of the spacepoint's track candidate; completed, on the host
  at::Tensor edge_index;   // [2,E] INT64 edges that the filter kept
  at::Tensor edge_scores;  // [E] FP32 the GNN's logits of those edges
};

// Not for several threads at once: each has its own engine.
class Engine {
 public:
  // `threads`: for the stages between the networks; those of the networks are the process's (at::set_num_threads).
  // Throws ContractError: a file is missing or is no TorchScript, or the device cannot be used.
  Engine(c10::Device device, const NetworkFiles& files, const WorkingPoint& cuts, int threads);
  ~Engine();
  Engine(Engine&&) noexcept;

  // Finds the tracks of `features` [N,F] FP32 (r / 1000 mm, φ / π, z / 1000 mm, and what else the working point's
  // networks take), N ≥ 0, in host memory. The memory is read until this returns.
  //
  // Throws ContractError: an entry is not finite, or a network does not keep the contract.
  // Throws GraphTooLargeError: the event has more edges than the working point allows.
  // Throws c10::Error and std::exception: a network failed, or there is no memory.
  [[nodiscard]] Tracks find_tracks(const float* features, std::int64_t count);

  // The same of a tensor in any memory. `admit` is told of the edges [2,E] before the GNN, and may refuse them.
  [[nodiscard]] Tracks find_tracks(const at::Tensor& features, void (*admit)(const at::Tensor& edge_index) = nullptr);

  // The device, and the stream on it that this works in. On a GPU the tracks are there when find_tracks returns.
  [[nodiscard]] const DeviceStream& stream() const noexcept { return stream_; }

 private:
  struct Networks;  // not here, because TorchScript's headers take long to compile

  DeviceStream stream_;
  WorkingPoint cuts_;
  int threads_;
  std::unique_ptr<Networks> networks_;
};

}  // namespace exatrkx
