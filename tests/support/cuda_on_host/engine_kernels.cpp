// The kernels as the engine starts them, on host threads: its GPU code, tested without a GPU.
#include <gpu/launcher.hpp>

#define DECLARATION(kernel) void launch_##kernel(unsigned blocks, unsigned threads, void** arguments);
extern "C" {
EXATRKX_KERNELS(DECLARATION)
}

namespace exatrkx::gpu {

bool has_kernels() noexcept { return true; }

void launch(KernelName name, std::int64_t blocks, int threads, void** arguments, void* /*stream*/) {
#define FUNCTION(kernel) launch_##kernel,
  static constexpr decltype(&launch_find_cells) kFunctions[] = {EXATRKX_KERNELS(FUNCTION)};
  // Threads of a block that wait for each other do so for long when they are many more than processors.
  const bool blockwise = name == KernelName::contract_components || name == KernelName::find_furthest;
  kFunctions[static_cast<int>(name)](static_cast<unsigned>(blocks), blockwise ? 3 : threads, arguments);
}

}  // namespace exatrkx::gpu
