#include "network.hpp"

#include <ATen/Context.h>
#include <torch/csrc/jit/python/update_graph_executor_opt.h>
#include <torch/csrc/jit/serialization/import.h>

#include <exception>
#include <string>
#include <utility>

#include "errors.hpp"

namespace exatrkx {

namespace {

// In a file as it is served, whose network gives a digest too: exatrkx/networks/served.py.
constexpr const char* kBareNetwork = "bare_network";

torch::jit::Module load(const std::filesystem::path& file, c10::Device device) {
  if (!std::filesystem::is_regular_file(file)) {
    throw ContractError(file.string() + ": no such file; exatrkx export writes it");
  }
  try {
    torch::jit::Module module = torch::jit::load(file.string(), device);
    module.eval();
    return module.hasattr(kBareNetwork) ? module.attr(kBareNetwork).toModule() : module;
  } catch (const std::exception&) {
    const std::string reason = text_of(std::current_exception());
    throw ContractError(file.string() + ": no TorchScript network: " + reason.substr(0, reason.find('\n')));
  }
}

}  // namespace

Network::Network(const std::filesystem::path& file, c10::Device device)
    : module_(load(file, device)), name_(file.string()) {
  at::globalContext().setFloat32MatmulPrecision("highest");  // no TF32: its ten bits would move scores across the cuts
}

at::Tensor Network::operator()(std::vector<c10::IValue> inputs) {
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
