#include "errors.hpp"

#include "../engine/errors.hpp"

namespace exatrkx::triton {

namespace {

void log_error(const char* text) noexcept {
  TRITONSERVER_Error* error = TRITONSERVER_LogMessage(TRITONSERVER_LOG_ERROR, __FILE__, __LINE__, text);
  if (error != nullptr) TRITONSERVER_ErrorDelete(error);
}

TRITONSERVER_Error_Code code_of(const std::exception_ptr& exception) {
  if (is_refusal(exception)) return TRITONSERVER_ERROR_INVALID_ARG;
  try {
    std::rethrow_exception(exception);
  } catch (const MixedRequestsError&) {
    return TRITONSERVER_ERROR_UNAVAILABLE;
  } catch (...) {
    return TRITONSERVER_ERROR_INTERNAL;
  }
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
      return TRITONSERVER_ErrorNew(code_of(exception), text.c_str());
    }
  } catch (...) {
    // No memory for the text itself.
    return TRITONSERVER_ErrorNew(TRITONSERVER_ERROR_INTERNAL, "out of memory");
  }
}

TRITONSERVER_Error* with_text(TRITONSERVER_Error* error, const std::string& text) noexcept {
  try {
    const std::string whole = TRITONSERVER_ErrorMessage(error) + text;
    TRITONSERVER_Error* longer = TRITONSERVER_ErrorNew(TRITONSERVER_ErrorCode(error), whole.c_str());
    TRITONSERVER_ErrorDelete(error);
    return longer;
  } catch (...) {
    return error;  // no memory for more
  }
}

}  // namespace exatrkx::triton
