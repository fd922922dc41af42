// What the engine's stages start on a GPU, counted with the kernels on host threads: PyTorch's operators and kernels, for
// how many answers the host waits, and the bytes of the tensors that each is given or gives.
#pragma once

#include <ATen/record_function.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace exatrkx::budget {

struct Counts {
  std::int64_t operators = 0, kernels = 0, waits = 0, bytes = 0;
};

// By stage; the engine works in one thread.
inline std::map<std::string, Counts> counted;
inline std::vector<std::string> stages{"all"};  // each within the one before
inline int depth = 0;                           // of operators within operators: the outermost one counts

struct Seen final : at::ObserverContext {
  std::vector<at::Tensor> inputs;
  bool outermost = false, waits = true;
};

// Of at::Tensor::to: whether the host goes on at once.
inline bool does_not_wait(const at::RecordFunction& function) {
  constexpr std::size_t kNonBlocking = 5;  // its place among the arguments
  const auto& inputs = function.inputs();
  return inputs.size() > kNonBlocking && inputs[kNonBlocking].isBool() && inputs[kNonBlocking].toBool();
}

template <class Values>
std::vector<at::Tensor> tensors_of(const Values& values) {
  std::vector<at::Tensor> found;
  for (const c10::IValue& value : values) {
    if (value.isTensor() && value.toTensor().defined()) found.push_back(value.toTensor());
    if (value.isTensorList()) {
      for (const at::Tensor& one : value.toTensorVector()) found.push_back(one);
    }
  }
  return found;
}

inline bool within(const at::Tensor& tensor, const std::vector<at::Tensor>& others) {
  for (const at::Tensor& other : others) {
    if (tensor.is_alias_of(other)) return true;
  }
  return false;
}

inline std::int64_t bytes_of(const std::vector<at::Tensor>& tensors) {
  std::int64_t bytes = 0;
  for (const at::Tensor& one : tensors) bytes += static_cast<std::int64_t>(one.nbytes());
  return bytes;
}

inline std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
  auto seen = std::make_unique<Seen>();
  if (function.scope() == at::RecordScope::USER_SCOPE) {
    stages.emplace_back(function.name());
    return seen;
  }
  seen->outermost = depth++ == 0;
  if (seen->outermost) seen->inputs = tensors_of(function.inputs());
  seen->waits = !does_not_wait(function);
  return seen;
}

inline void end(const at::RecordFunction& function, at::ObserverContext* context) {
  const auto& seen = *static_cast<Seen*>(context);
  if (function.scope() == at::RecordScope::USER_SCOPE) {
    stages.pop_back();
    return;
  }
  --depth;
  if (!seen.outermost) return;
  Counts& counts = counted[stages.back()];
  const std::string name = function.name();
  if (!name.starts_with("aten::")) {
    ++counts.kernels;
    counts.bytes += bytes_of(seen.inputs);
    return;
  }
  const std::vector<at::Tensor> outputs = tensors_of(function.outputs());
  const bool allocation = name.starts_with("aten::empty") || name.starts_with("aten::new_empty");
  const bool in_place = name.ends_with("_");
  // On a GPU these copy from or to the host; here nothing has to be copied, but in the last of them.
  const bool nothing_new = name == "aten::to" && !outputs.empty() && within(outputs[0], seen.inputs);
  if (name == "aten::item" || nothing_new || name == "aten::copy_") {
    ++(seen.waits ? counts.waits : counts.operators);
  } else if (!allocation && (in_place || outputs.empty() || !within(outputs[0], seen.inputs))) {
    ++counts.operators;
    counts.bytes += bytes_of(seen.inputs) + bytes_of(outputs);
  }
}

inline void count() {
  at::addGlobalCallback(at::RecordFunctionCallback(begin, end)
                            .needsInputs(true)
                            .needsOutputs(true)
                            .scopes({at::RecordScope::FUNCTION, at::RecordScope::USER_SCOPE}));
}

// A line "stage,operators,kernels,waits,bytes" for each stage.
inline void print() {
  for (const auto& [name, counts] : counted) {
    std::printf("%s,%lld,%lld,%lld,%lld\n", name.c_str(), static_cast<long long>(counts.operators),
                static_cast<long long>(counts.kernels), static_cast<long long>(counts.waits),
                static_cast<long long>(counts.bytes));
  }
}

}  // namespace exatrkx::budget
