// The kernels of stages and networks as functions of a shared library for the host.
#include "runtime.hpp"

#include "components.cu"
#include "contraction.cu"
#include "grid.cu"
#include "neighbours.cu"
#include "selection.cu"

#include "embedding.cu"
#include "filter.cu"
#include "gnn.cu"

#include "../../../backends/exatrkx/engine/gpu/completion.cu"
#include "../../../backends/exatrkx/engine/gpu/launcher.hpp"

using namespace kernels;

EXATRKX_KERNELS(LAUNCHER)
