// Model instance: one runner on one device, and one request at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "admission.hpp"
#include "api.hpp"
#include "model.hpp"
#include "runner.hpp"

namespace exatrkx::triton {

class Response;

class Instance {
 public:
  // Loads the networks and answers the warm-up samples, so that a model which cannot answer does not load.
  // Throws ContractError, which says what is wrong with the model, and TritonError.
  Instance(TRITONBACKEND_ModelInstance* instance, const Model& model);

  // Answers and releases each request, whatever goes wrong.
  void execute(TRITONBACKEND_Request** requests, std::uint32_t count) noexcept;

 private:
  // When the parts of an execution began and ended, in ns of the monotonic clock.
  struct Times {
    std::uint64_t start = 0, compute_start = 0, compute_end = 0, end = 0;
  };

  void warm_up(const WarmUp& sample);
  // Returns whether the answer is no error.
  bool answer(TRITONBACKEND_Request* request, Times& times) noexcept;
  // `digest` becomes that of the request as soon as it is known.
  void run(TRITONBACKEND_Request* request, Response& response, Times& times, std::optional<std::int64_t>& digest);

  TRITONBACKEND_ModelInstance* instance_;
  const Model& model_;
  Queue queue_;
  std::unique_ptr<Runner> runner_;
};

}  // namespace exatrkx::triton
