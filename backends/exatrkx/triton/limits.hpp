// Limits of a request: its spacepoints, and its deadline. exatrkx/checks.py and exatrkx/serving/limits.py in C++.
#pragma once

#include "../engine/contract.hpp"
#include "api.hpp"

namespace exatrkx::triton {

// Bounds the rows of a tensor that has one for each spacepoint, by the environment variable EXATRKX_MAX_SPACEPOINTS or,
// where it is no positive number, by 500,000. Throws EventTooLargeError with the limit and the number found.
void check_spacepoints(at::IntArrayRef dims, const TensorSpec& spec);

// Throws TritonError: the request was cancelled, or its deadline (its parameter deadline_unix_us) has passed.
void check_wanted(TRITONBACKEND_Request* request);

}  // namespace exatrkx::triton
