#include "network.hpp"

#include <ATen/Context.h>
#include <torch/csrc/jit/python/update_graph_executor_opt.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "errors.hpp"

namespace exatrkx {

namespace {

// In a file as it is served, whose network gives a digest too: exatrkx/networks/served.py.
constexpr const char* kBareNetwork = "bare_network";
constexpr const char* kKernelParameters = "kernel_parameters";

// Whether kernels may compute networks on this device. Tests run them on host threads.
bool kernels_wanted(c10::Device device) {
  constexpr const char* kVariable = "EXATRKX_NETWORKS";
  const char* const text = std::getenv(kVariable);
  const std::string_view wanted = text == nullptr ? "kernels" : text;
  if (wanted == "torchscript") return false;
  if (wanted != "kernels") {
    throw ContractError(std::string(kVariable) + ": expected kernels or torchscript, found '" + text + "'");
  }
#ifdef EXATRKX_KERNELS_ON_HOST
  return true;
#else
  return !device.is_cpu();
#endif
}

std::unique_ptr<gpu::KernelNetwork> kernels_of(const torch::jit::Module& module, c10::Device device) {
  if (!kernels_wanted(device) || !module.hasattr(kKernelParameters)) return nullptr;
  return gpu::kernel_network(module.attr(kKernelParameters).toTensor().to(device));
}

// The network itself, without its digest.
torch::jit::Module bare(const torch::jit::Module& module) {
  return module.hasattr(kBareNetwork) ? module.attr(kBareNetwork).toModule() : module;
}

torch::jit::Module load(const std::filesystem::path& file, c10::Device device) {
  if (!std::filesystem::is_regular_file(file)) {
    throw ContractError(file.string() + ": no such file; exatrkx export writes it");
  }
  try {
    torch::jit::Module module = torch::jit::load(file.string(), device);
    module.eval();
    return module;
  } catch (const std::exception&) {
    const std::string reason = text_of(std::current_exception());
    throw ContractError(file.string() + ": no TorchScript network: " + reason.substr(0, reason.find('\n')));
  }
}

}  // namespace

Network::Network(const std::filesystem::path& file, c10::Device device)
    : module_(load(file, device)), name_(file.string()), kernels_(kernels_of(module_, device)) {
  module_ = bare(module_);
  at::globalContext().setFloat32MatmulPrecision("highest");  // no TF32: its ten bits would move scores across the cuts
}

at::Tensor Network::operator()(std::vector<c10::IValue> inputs) {
  if (kernels_ != nullptr) return (*kernels_)(inputs[0].toTensor(), inputs.size() > 1 ? inputs[1].toTensor() : at::Tensor());
  c10::IValue output = module_.forward(std::move(inputs));
  if (!output.isTensor()) {
    throw std::runtime_error(name_ + ": the network returned " + output.tagKind() + ", expected one tensor");
  }
  return std::move(output).toTensor();
}

NetworkScope::NetworkScope(bool optimized) : optimized_before_(torch::jit::getGraphExecutorOptimize()) {
  torch::jit::setGraphExecutorOptimize(optimized);
}

NetworkScope::~NetworkScope() { torch::jit::setGraphExecutorOptimize(optimized_before_); }

}  // namespace exatrkx
