// Errors of the engine: those of the stages, and what is said of an exception that nobody meant to throw.
#pragma once

#include <exception>
#include <string>

#include "../stages/errors.hpp"

namespace exatrkx {

using stages::ContractError;
using stages::GraphTooLargeError;

// Whether the input or the configuration is at fault, not this program or a network.
[[nodiscard]] bool is_refusal(const std::exception_ptr& error);

// The text of an exception, without torch's stack.
[[nodiscard]] std::string text_of(const std::exception_ptr& error);

}  // namespace exatrkx
