#include "limits.hpp"

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

#include "../engine/errors.hpp"
#include "../engine/process.hpp"
#include "errors.hpp"

namespace exatrkx::triton {

namespace {

constexpr int kMaxSpacepoints = 500'000;
constexpr std::string_view kDeadline = "deadline_unix_us";

std::int64_t now_us() noexcept {
  using std::chrono::microseconds, std::chrono::system_clock;
  return std::chrono::duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

void check_deadline(std::int64_t deadline_us) {
  const std::int64_t overdue_us = now_us() - deadline_us;
  if (overdue_us <= 0) return;
  char seconds[32];
  static_cast<void>(std::snprintf(seconds, sizeof(seconds), "%.3f", static_cast<double>(overdue_us) / 1e6));
  throw TritonError(TRITONSERVER_ERROR_CANCELLED, std::string(kDeadline) + ": the deadline passed " + seconds +
                                                      " s ago, by this server's clock");
}

}  // namespace

void check_spacepoints(at::IntArrayRef dims, const TensorSpec& spec) {
  static const std::int64_t most = positive_number("EXATRKX_MAX_SPACEPOINTS").value_or(kMaxSpacepoints);
  const bool per_spacepoint = spec.dims.size() == 2 && spec.dims[0] == kVariable;
  if (!per_spacepoint || dims[0] <= most) return;
  throw EventTooLargeError(std::string(spec.name) + ": more than max_spacepoints = " + std::to_string(most) +
                           " spacepoints, found " + std::to_string(dims[0]));
}

void check_wanted(TRITONBACKEND_Request* request) {
  bool cancelled = false;
  check(TRITONBACKEND_RequestIsCancelled(request, &cancelled));
  if (cancelled) throw TritonError(TRITONSERVER_ERROR_CANCELLED, "the request was cancelled");
  std::uint32_t count = 0;
  check(TRITONBACKEND_RequestParameterCount(request, &count));
  for (std::uint32_t index = 0; index < count; ++index) {
    const char* name = nullptr;
    TRITONSERVER_ParameterType type{};
    const void* value = nullptr;
    check(TRITONBACKEND_RequestParameter(request, index, &name, &type, &value));
    if (kDeadline == name && type == TRITONSERVER_PARAMETER_INT) check_deadline(*static_cast<const std::int64_t*>(value));
  }
}

}  // namespace exatrkx::triton
