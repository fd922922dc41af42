// Triton's errors as exceptions, and exceptions as Triton's errors: none passes the border to the server.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>

#include "api.hpp"

namespace exatrkx::triton {

// A call into Triton failed.
class TritonError : public std::runtime_error {
 public:
  TritonError(TRITONSERVER_Error_Code code, const std::string& text) : std::runtime_error(text), code_(code) {}
  [[nodiscard]] TRITONSERVER_Error_Code code() const noexcept { return code_; }

 private:
  TRITONSERVER_Error_Code code_;
};

// Throws TritonError where a call into Triton returned an error, which it deletes.
void check(TRITONSERVER_Error* error);

// Logs the error of a call into Triton that nobody can be told of, and deletes it.
void log_if_error(TRITONSERVER_Error* error) noexcept;

// The exception that is being handled, as "<who>: <what>"; logged where the input is not at fault.
[[nodiscard]] TRITONSERVER_Error* current_error(const char* who) noexcept;

// The error with more text at its end; the one that is given is deleted.
[[nodiscard]] TRITONSERVER_Error* with_text(TRITONSERVER_Error* error, const std::string& text) noexcept;

// What a function that Triton calls returns: null, or the exception that `work` ended with.
template <class Work>
[[nodiscard]] TRITONSERVER_Error* guarded(const char* who, Work&& work) noexcept {
  try {
    work();
    return nullptr;
  } catch (...) {
    return current_error(who);
  }
}

}  // namespace exatrkx::triton
