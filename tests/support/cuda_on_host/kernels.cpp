// The stages' kernels as functions of a shared library for the host.
#include "runtime.hpp"

namespace neighbours {
#include "neighbours.cu"
}
namespace components {
#include "components.cu"
}

using namespace components;
using namespace neighbours;

LAUNCHER(find_cells)
LAUNCHER(count_neighbours)
LAUNCHER(find_furthest)
LAUNCHER(find_edges)
LAUNCHER(join_edges)
LAUNCHER(find_roots)
