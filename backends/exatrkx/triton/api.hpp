// Triton's backend API: from the server's own headers where the build finds them.
#pragma once

#if __has_include(<triton/core/tritonbackend.h>)
#include <triton/core/tritonbackend.h>
#else
#include "declarations.hpp"
#endif
