// Network as it is served: a file of TorchScript that is read once and run as it is written, or, on a GPU, by kernels
// where it has the numbers for them.
#pragma once

#include <c10/core/InferenceMode.h>
#include <torch/csrc/jit/api/module.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gpu/networks.hpp"

namespace exatrkx {

class Network {
 public:
  // Throws ContractError: the file is missing or is no TorchScript, and the text names it; or EXATRKX_NETWORKS is neither
  // "kernels" nor "torchscript", which is for comparing the two.
  Network(const std::filesystem::path& file, c10::Device device);

  // What the network makes of `inputs`; to be called in a NetworkScope. Throws what torch throws.
  [[nodiscard]] at::Tensor operator()(std::vector<c10::IValue> inputs);

  // Whether kernels compute it.
  [[nodiscard]] bool by_kernels() const noexcept { return kernels_ != nullptr; }

 private:
  torch::jit::Module module_;
  std::string name_;
  std::unique_ptr<gpu::KernelNetwork> kernels_;  // null: as TorchScript
};

// While it lives, this thread runs networks without gradients, and TorchScript as it is written unless `optimized`: the
// optimiser compiles for the sizes that it sees, and every event has another one.
class NetworkScope {
 public:
  explicit NetworkScope(bool optimized = false);
  ~NetworkScope();
  NetworkScope(const NetworkScope&) = delete;
  NetworkScope& operator=(const NetworkScope&) = delete;

 private:
  c10::InferenceMode no_gradients_;
  bool optimized_before_;
};

}  // namespace exatrkx
