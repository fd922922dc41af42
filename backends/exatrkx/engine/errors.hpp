// Errors of the engine: those of the stages, and what is said of an exception that nobody meant to throw.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>

#include "../stages/errors.hpp"

namespace exatrkx {

using stages::ContractError;
using stages::GraphTooLargeError;

// Tensors of different requests came together: the server's fault, so the request is to be sent again.
struct MixedRequestsError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// An event has more spacepoints, or needs more memory, than is allowed: thrown before either is spent.
struct EventTooLargeError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Whether the input or the configuration is at fault, not this program or a network.
[[nodiscard]] bool is_refusal(const std::exception_ptr& error);

// The text of an exception, without torch's stack.
[[nodiscard]] std::string text_of(const std::exception_ptr& error);

}  // namespace exatrkx
