// Entry points of the backend, which Triton calls: when the backend, a model or an instance of a model comes and goes,
// and with requests. No exception leaves them.
#include <memory>
#include <string>

#include "../engine/device_stream.hpp"
#include "../engine/process.hpp"
#include "api.hpp"
#include "errors.hpp"
#include "instance.hpp"
#include "model.hpp"
#include "runner.hpp"

// Triton looks these functions up by name; all else in the library is hidden.
#define EXATRKX_EXPORT __attribute__((visibility("default")))

namespace triton = exatrkx::triton;

namespace {

using triton::kBackend;

const char* name_of(TRITONBACKEND_Model* model) {
  const char* name = kBackend;
  triton::log_if_error(TRITONBACKEND_ModelName(model, &name));
  return name;
}

// Of the instance's model, to which errors are the user's.
const char* name_of(TRITONBACKEND_ModelInstance* instance) {
  TRITONBACKEND_Model* model = nullptr;
  triton::log_if_error(TRITONBACKEND_ModelInstanceModel(instance, &model));
  return model == nullptr ? kBackend : name_of(model);
}

triton::Model& state_of(TRITONBACKEND_Model* model) {
  void* state = nullptr;
  triton::check(TRITONBACKEND_ModelState(model, &state));
  return *static_cast<triton::Model*>(state);
}

TRITONBACKEND_Model* model_of(TRITONBACKEND_ModelInstance* instance) {
  TRITONBACKEND_Model* model = nullptr;
  triton::check(TRITONBACKEND_ModelInstanceModel(instance, &model));
  return model;
}

void check_version() {
  std::uint32_t major = 0, minor = 0;
  triton::check(TRITONBACKEND_ApiVersion(&major, &minor));
  if (major == TRITONBACKEND_API_VERSION_MAJOR && minor >= TRITONBACKEND_API_VERSION_MINOR) return;
  const auto text = [](std::uint32_t a, std::uint32_t b) { return std::to_string(a) + "." + std::to_string(b); };
  throw triton::TritonError(TRITONSERVER_ERROR_UNSUPPORTED,
                            "the server's backend API is version " + text(major, minor) + ", and this was built for " +
                                text(TRITONBACKEND_API_VERSION_MAJOR, TRITONBACKEND_API_VERSION_MINOR));
}

}  // namespace

extern "C" {

EXATRKX_EXPORT TRITONSERVER_Error* TRITONBACKEND_Initialize(TRITONBACKEND_Backend* /*backend*/) {
  return triton::guarded(kBackend, [] {
    check_version();
    exatrkx::retain_freed_memory();
  });
}

EXATRKX_EXPORT TRITONSERVER_Error* TRITONBACKEND_GetBackendAttribute(TRITONBACKEND_Backend* /*backend*/,
                                                                     TRITONBACKEND_BackendAttribute* attribute) {
  // Where the server is free to choose: a torch without CUDA cannot use the GPU that the server sees.
  return triton::guarded(kBackend, [&] {
    const auto kind =
        exatrkx::has_cuda() ? TRITONSERVER_INSTANCEGROUPKIND_GPU : TRITONSERVER_INSTANCEGROUPKIND_CPU;
    triton::check(TRITONBACKEND_BackendAttributeAddPreferredInstanceGroup(attribute, kind, 0, nullptr, 0));
  });
}

EXATRKX_EXPORT TRITONSERVER_Error* TRITONBACKEND_ModelInitialize(TRITONBACKEND_Model* model) {
  return triton::guarded(name_of(model), [&] {
    auto state = std::make_unique<triton::Model>(model);
    triton::check(TRITONBACKEND_ModelSetState(model, state.get()));
    static_cast<void>(state.release());  // Triton's until TRITONBACKEND_ModelFinalize
  });
}

EXATRKX_EXPORT TRITONSERVER_Error* TRITONBACKEND_ModelFinalize(TRITONBACKEND_Model* model) {
  return triton::guarded(name_of(model), [&] {
    void* state = nullptr;
    triton::check(TRITONBACKEND_ModelState(model, &state));
    delete static_cast<triton::Model*>(state);
  });
}

EXATRKX_EXPORT TRITONSERVER_Error* TRITONBACKEND_ModelInstanceInitialize(TRITONBACKEND_ModelInstance* instance) {
  return triton::guarded(name_of(instance), [&] {
    TRITONBACKEND_Model* model = model_of(instance);
    auto state = std::make_unique<triton::Instance>(instance, state_of(model));
    triton::check(TRITONBACKEND_ModelInstanceSetState(instance, state.get()));
    static_cast<void>(state.release());  // Triton's until TRITONBACKEND_ModelInstanceFinalize
  });
}

EXATRKX_EXPORT TRITONSERVER_Error* TRITONBACKEND_ModelInstanceFinalize(TRITONBACKEND_ModelInstance* instance) {
  return triton::guarded(kBackend, [&] {
    void* state = nullptr;
    triton::check(TRITONBACKEND_ModelInstanceState(instance, &state));
    delete static_cast<triton::Instance*>(state);
  });
}

EXATRKX_EXPORT TRITONSERVER_Error* TRITONBACKEND_ModelInstanceExecute(TRITONBACKEND_ModelInstance* instance,
                                                                      TRITONBACKEND_Request** requests,
                                                                      const std::uint32_t count) {
  // An error here would leave the requests with Triton; once they are taken, each gets an answer of its own.
  return triton::guarded(kBackend, [&] {
    void* state = nullptr;
    triton::check(TRITONBACKEND_ModelInstanceState(instance, &state));
    static_cast<triton::Instance*>(state)->execute(requests, count);
  });
}

}  // extern "C"
