// Errors of the engine: those of the stages, and what is said of an exception that nobody meant to throw.
#pragma once

#include <exception>
#include <stdexcept>
#include <string>

#include "../stages/errors.hpp"

namespace exatrkx {

using stages::ContractError;
using stages::GraphTooLargeError;

// A network does not keep the contract in what it returns: the server's fault, not the request's.
class BrokenModelError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Reason {
  std::string text;
  bool of_the_input;  // the input or the configuration is at fault, not this program
};

// What an exception says, in the words that the Python backend has for it: text alone where the input is at fault,
// "MemoryError: …" or "RuntimeError: …" otherwise.
[[nodiscard]] Reason reason_of(const std::exception_ptr& error);

// The text of an exception alone, without torch's stack.
[[nodiscard]] std::string text_of(const std::exception_ptr& error);

}  // namespace exatrkx
