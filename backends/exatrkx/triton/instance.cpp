#include "instance.hpp"

#include <ATen/ops/zeros.h>

#include <chrono>
#include <exception>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "../engine/compute_slots.hpp"
#include "../engine/digest.hpp"
#include "../engine/errors.hpp"
#include "../stages/checks.hpp"
#include "errors.hpp"
#include "limits.hpp"
#include "request.hpp"
#include "response.hpp"

namespace exatrkx::triton {

namespace {

std::uint64_t now_ns() noexcept {
  using std::chrono::nanoseconds, std::chrono::steady_clock;
  return static_cast<std::uint64_t>(nanoseconds(steady_clock::now().time_since_epoch()).count());
}

c10::Device device_of(TRITONBACKEND_ModelInstance* instance) {
  TRITONSERVER_InstanceGroupKind kind{};
  check(TRITONBACKEND_ModelInstanceKind(instance, &kind));
  if (kind == TRITONSERVER_INSTANCEGROUPKIND_CPU) return c10::Device(c10::kCPU);
  if (kind != TRITONSERVER_INSTANCEGROUPKIND_GPU) throw ContractError("instance_group: kind must be CPU or GPU");
  std::int32_t id = 0;
  check(TRITONBACKEND_ModelInstanceDeviceId(instance, &id));
  return {c10::kCUDA, static_cast<c10::DeviceIndex>(id)};
}

c10::Device place_of(const TensorSpec& spec, const Runner& runner) {
  return spec.on_host ? c10::Device(c10::kCPU) : runner.stream().device();
}

constexpr const char* kEdgesDigest = "EDGES_DIGEST";

// The request's digest with those of its edges and of their scores added: proof of both, as exatrkx/digest.py has it.
at::Tensor digest_of_edges(const Outputs& outputs, std::int64_t digest) {
  for (const auto& [name, tensor] : outputs) {
    const std::string_view one = name;
    if (one == stages::kEdgeIndex || one == stages::kEdgeScores) digest = added(digest, payload_digest(tensor));
  }
  return tensor_of(digest);
}

}  // namespace

Instance::Instance(TRITONBACKEND_ModelInstance* instance, const Model& model)
    : instance_(instance), model_(model), queue_(instance), runner_(make_runner(model, device_of(instance))) {
  // On a thread of its own, whose OpenMP threads end with it: those of the thread that loads would stay, and compete
  // with those of the thread that executes.
  std::async(std::launch::async, [&] {
    for (const WarmUp& sample : model.warm_ups()) warm_up(sample);
  }).get();
}

void Instance::warm_up(const WarmUp& sample) {
  const DeviceStreamGuard own_stream(runner_->stream());  // here, so that the zeros are written before they are read
  const c10::InferenceMode no_gradients;
  std::vector<at::Tensor> tensors;
  for (const TensorSpec& spec : runner_->inputs()) {
    const auto dims = sample.dims.find(spec.name);
    if (dims == sample.dims.end() && spec.optional) {
      tensors.emplace_back();
      continue;
    }
    if (dims == sample.dims.end()) return;
    tensors.push_back(at::zeros(dims->second, at::TensorOptions().dtype(spec.type).device(place_of(spec, *runner_))));
  }
  try {
    static_cast<void>(runner_->run(tensors, runner_->digest_of(tensors, "").value_or(0)));
  } catch (...) {
    throw ContractError("the warm-up sample '" + sample.name + "' failed: " + text_of(std::current_exception()));
  }
}

void Instance::execute(TRITONBACKEND_Request** requests, std::uint32_t count) noexcept {
  Times all;
  for (std::uint32_t index = 0; index < count; ++index) {
    Times times;
    const bool success = answer(requests[index], times);
    log_if_error(TRITONBACKEND_ModelInstanceReportStatistics(instance_, requests[index], success, times.start,
                                                             times.compute_start, times.compute_end, times.end));
    log_if_error(TRITONBACKEND_RequestRelease(requests[index], TRITONSERVER_REQUEST_RELEASE_ALL));
    if (index == 0) all = times;
    all.compute_end = times.compute_end;
    all.end = times.end;
  }
  if (count == 0) return;
  log_if_error(TRITONBACKEND_ModelInstanceReportBatchStatistics(instance_, count, all.start, all.compute_start,
                                                                all.compute_end, all.end));
}

bool Instance::answer(TRITONBACKEND_Request* request, Times& times) noexcept {
  bool success = false;
  times.start = times.compute_start = now_ns();
  log_if_error(guarded(model_.name().c_str(), [&] {
    const DeviceStreamGuard own_stream(runner_->stream());
    const c10::InferenceMode no_gradients;
    Response response(request);
    std::optional<std::int64_t> digest;
    TRITONSERVER_Error* error = guarded(model_.name().c_str(), [&] { run(request, response, times, digest); });
    if (times.compute_end == 0) times.compute_end = now_ns();
    success = error == nullptr;
    response.send(success ? nullptr : with_text(error, signature(digest)));
  }));
  times.end = now_ns();
  if (times.compute_end == 0) times.compute_end = times.end;
  return success;
}

void Instance::run(TRITONBACKEND_Request* request, Response& response, Times& times,
                   std::optional<std::int64_t>& digest) {
  check_wanted(request);
  if (runner_->inputs().size() == 1 && runner_->inputs()[0].dims.back() == 3) queue_.admit();  // where events arrive
  const Request input(request);
  std::vector<at::Tensor> tensors;
  for (const TensorSpec& spec : runner_->inputs()) tensors.push_back(input.tensor(spec, place_of(spec, *runner_)));
  times.compute_start = now_ns();
  digest = runner_->digest_of(tensors, input.id());
  for (std::size_t i = 0; i < tensors.size(); ++i) check_spacepoints(tensors[i].sizes(), runner_->inputs()[i]);
  std::optional<ComputeSlot> slot;  // a GPU has queues of its own
  if (runner_->stream().device().is_cpu()) {
    slot.emplace(process_slots());
    check_memory(needed_bytes(model_.name(), tensors));
    check_wanted(request);  // it may have waited for long
  }
  Outputs outputs = runner_->run(tensors, digest.value_or(0));
  if (input.wants(kEdgesDigest)) outputs.emplace_back(kEdgesDigest, digest_of_edges(outputs, digest.value_or(0)));
  slot.reset();
  times.compute_end = now_ns();
  for (const auto& [name, tensor] : outputs) {
    if (input.wants(name)) response.add(name, tensor);
  }
  runner_->stream().synchronize();  // copies within a GPU may still be under way
}

}  // namespace exatrkx::triton
