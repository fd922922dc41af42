#include "errors.hpp"

#include "../engine/errors.hpp"

namespace exatrkx::triton {

namespace {

void log_error(const char* text) noexcept {
  TRITONSERVER_Error* error = TRITONSERVER_LogMessage(TRITONSERVER_LOG_ERROR, __FILE__, __LINE__, text);
  if (error != nullptr) TRITONSERVER_ErrorDelete(error);
}

}  // namespace

void check(TRITONSERVER_Error* error) {
  if (error == nullptr) return;
  const TritonError exception(TRITONSERVER_ErrorCode(error), TRITONSERVER_ErrorMessage(error));
  TRITONSERVER_ErrorDelete(error);
  throw exception;
}

void log_if_error(TRITONSERVER_Error* error) noexcept {
  if (error == nullptr) return;
  log_error(TRITONSERVER_ErrorMessage(error));
  TRITONSERVER_ErrorDelete(error);
}

TRITONSERVER_Error* current_error(const char* who) noexcept {
  try {
    const std::exception_ptr exception = std::current_exception();
    try {
      std::rethrow_exception(exception);
    } catch (const TritonError& error) {
      return TRITONSERVER_ErrorNew(error.code(), (std::string(who) + ": " + error.what()).c_str());
    } catch (...) {
      const bool refusal = is_refusal(exception);
      const std::string text = std::string(who) + ": " + text_of(exception);
      if (!refusal) log_error(text.c_str());
      const auto code = refusal ? TRITONSERVER_ERROR_INVALID_ARG : TRITONSERVER_ERROR_INTERNAL;
      return TRITONSERVER_ErrorNew(code, text.c_str());
    }
  } catch (...) {
    // No memory for the text itself.
    return TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_INTERNAL, "out of memory");
  }
}

}  // namespace exatrkx::triton
