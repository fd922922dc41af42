#include "admission.hpp"

#include <malloc.h>
#include <unistd.h>

#include <charconv>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "../engine/errors.hpp"
#include "../engine/process.hpp"
#include "errors.hpp"

namespace exatrkx::triton {

namespace {

constexpr int kMaxQueue = 64;
constexpr std::chrono::milliseconds kSample{100};
constexpr std::int64_t kMiB = 1 << 20;
constexpr std::int64_t kSpacepointBytes = 4096, kEdgeBytes = 800, kLargeMib = 256;

// The sum of a metric over its labels, in Prometheus's text form.
std::int64_t sum_of(std::string_view text, std::string_view metric) {
  std::int64_t sum = 0;
  for (std::size_t at = text.find(metric); at != text.npos; at = text.find(metric, at + 1)) {
    const std::size_t value = text.find("} ", at) + 2;
    std::int64_t number = 0;
    std::from_chars(text.data() + value, text.data() + text.size(), number);
    sum += number;
  }
  return sum;
}

std::int64_t resident_kib(const std::filesystem::path& status) {
  std::ifstream file(status);
  std::int64_t sum = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("RssAnon:") || line.starts_with("RssShmem:")) sum += std::stoll(line.substr(line.find(':') + 1));
  }
  return sum;
}

// Of all processes of this process group, the server's; what two of them share counts for each.
std::int64_t resident_mib() {
  std::int64_t kib = 0;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
    const std::string name = entry.path().filename();
    pid_t process = 0;
    const auto read = std::from_chars(name.data(), name.data() + name.size(), process);
    if (read.ec == std::errc() && getpgid(process) == getpgrp()) kib += resident_kib(entry.path() / "status");
  }
  return kib >> 10;
}

}  // namespace

Queue::Queue(TRITONBACKEND_ModelInstance* instance) {
  TRITONBACKEND_Model* model = nullptr;
  check(TRITONBACKEND_ModelInstanceModel(instance, &model));
  check(TRITONBACKEND_ModelServer(model, &server_));
}

std::int64_t Queue::pending() const {
  TRITONSERVER_Metrics* metrics = nullptr;
  TRITONSERVER_Error* none = TRITONSERVER_ServerMetrics(server_, &metrics);
  if (none != nullptr) {  // the server keeps no metrics
    TRITONSERVER_ErrorDelete(none);
    return 0;
  }
  const char* text = nullptr;
  std::size_t size = 0;
  log_if_error(TRITONSERVER_MetricsFormatted(metrics, TRITONSERVER_METRIC_PROMETHEUS, &text, &size));
  const std::int64_t sum = sum_of({text, size}, "\nnv_inference_pending_request_count{");
  log_if_error(TRITONSERVER_MetricsDelete(metrics));
  return sum;
}

void Queue::admit() {
  static const std::int64_t most = positive_number("EXATRKX_MAX_QUEUE").value_or(kMaxQueue);
  const auto now = std::chrono::steady_clock::now();
  if (now - sampled_ >= kSample) {
    waiting_ = pending();
    sampled_ = now;
  }
  if (waiting_ <= most) return;
  throw TritonError(TRITONSERVER_ERROR_UNAVAILABLE, "more than max_queue = " + std::to_string(most) +
                                                        " requests wait, found " + std::to_string(waiting_--) +
                                                        ": try later");
}

std::int64_t needed_bytes(std::string_view model, const std::vector<at::Tensor>& inputs) {
  if (inputs.size() == 1) return inputs[0].size(0) * kSpacepointBytes;
  return model == "gnn" ? inputs[1].size(1) * kEdgeBytes : 0;
}

void check_gnn_memory(const at::Tensor& edge_index) {
  if (edge_index.is_cpu()) check_memory(edge_index.size(1) * kEdgeBytes);
}

void check_memory(std::int64_t needed) {
  static const std::int64_t most = positive_number("EXATRKX_MAX_MEMORY_MB").value_or(0);
  const std::int64_t mib = needed / kMiB;
  if (most == 0 || mib < kLargeMib) return;
  const std::string event = "the event needs " + std::to_string(mib) + " MiB, ";
  const std::string limit = "max_memory = " + std::to_string(most) + " MiB";
  if (mib > most) throw EventTooLargeError(event + "more than " + limit);
  if (mib + resident_mib() <= most) return;
  malloc_trim(0);  // what this process keeps for its next event
  const std::int64_t used = resident_mib();
  if (mib + used <= most) return;
  throw TritonError(TRITONSERVER_ERROR_UNAVAILABLE,
                    event + "and " + std::to_string(used) + " MiB are used of " + limit + ": try later");
}

}  // namespace exatrkx::triton
