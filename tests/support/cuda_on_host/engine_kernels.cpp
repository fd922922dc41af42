// The kernels as the engine starts them, on host threads: its GPU code, tested without a GPU.
#include <gpu/kernels.hpp>

extern "C" {
void launch_find_cells(unsigned blocks, unsigned threads, void** arguments);
void launch_count_neighbours(unsigned blocks, unsigned threads, void** arguments);
void launch_find_furthest(unsigned blocks, unsigned threads, void** arguments);
void launch_find_edges(unsigned blocks, unsigned threads, void** arguments);
void launch_join_edges(unsigned blocks, unsigned threads, void** arguments);
void launch_find_roots(unsigned blocks, unsigned threads, void** arguments);
}

namespace exatrkx::gpu {

bool has_kernels() noexcept { return true; }

void launch(KernelName name, std::int64_t blocks, int threads, void** arguments, void* /*stream*/) {
  const auto start = [&](auto* kernel) {
    kernel(static_cast<unsigned>(blocks), static_cast<unsigned>(threads), arguments);
  };
  switch (name) {
    case KernelName::kFindCells: return start(launch_find_cells);
    case KernelName::kCountNeighbours: return start(launch_count_neighbours);
    case KernelName::kFindFurthest: return start(launch_find_furthest);
    case KernelName::kFindEdges: return start(launch_find_edges);
    case KernelName::kJoinEdges: return start(launch_join_edges);
    case KernelName::kFindRoots: return start(launch_find_roots);
  }
}

}  // namespace exatrkx::gpu
