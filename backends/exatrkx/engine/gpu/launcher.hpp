// CUDA kernel launcher: every kernel by its name, and how it is started.
#pragma once

#include <cstdint>

namespace exatrkx::gpu {

// Every kernel, by its name in ../../networks/cuda, ../../stages/cuda and completion.cu.
#define EXATRKX_KERNELS(each)                                                           \
  each(describe_nodes) each(embed_points) each(encode_edges) each(list_hopeful)         \
  each(orient_edges) each(propagate_beliefs) each(score_edges) each(score_triplets)     \
  each(update_edges)                                                                    \
  each(check_entries) each(contract_components) each(copy_selected)                     \
  each(count_selected) each(find_cells) each(find_disputed) each(find_edges)            \
  each(find_furthest) each(find_roots) each(gather_disputed) each(join_edges)           \
  each(list_disputed) each(list_neighbours) each(mark_candidates)                       \
  each(measure_points) each(number_tracks) each(order_edges) each(plan_grid)            \
  each(sort_points)                                                                     \
  each(drop_wrong_hits) each(look_around) each(update_tracks)

#define EXATRKX_ENUMERATOR(kernel) kernel,
enum class KernelName { EXATRKX_KERNELS(EXATRKX_ENUMERATOR) };
#undef EXATRKX_ENUMERATOR

#define EXATRKX_TEXT(kernel) #kernel,
inline constexpr const char* kKernelTexts[] = {EXATRKX_KERNELS(EXATRKX_TEXT)};
#undef EXATRKX_TEXT

// Threads per block, where a kernel has no reason for another number.
inline constexpr int kThreads = 128;
inline constexpr int kEmbeddingThreads = 64;  // as in ../../networks/cuda/embedding.cu
inline constexpr int kTrackThreads = 32;      // each has much to do, and there are few: so all processors have some

[[nodiscard]] constexpr int threads_of(KernelName name) noexcept {
  if (name == KernelName::embed_points) return kEmbeddingThreads;
  return name == KernelName::drop_wrong_hits ? kTrackThreads : kThreads;
}

// Whether this build has the kernels.
[[nodiscard]] bool has_kernels() noexcept;

// Starts a kernel on the current device; `stream` is a cudaStream_t, and `arguments` points to the value of each
// argument. Throws std::runtime_error where CUDA refuses.
void launch(KernelName name, std::int64_t blocks, int threads, void** arguments, void* stream);

// Blocks that give each item a thread.
[[nodiscard]] constexpr std::int64_t blocks_for(std::int64_t items, int threads = kThreads) noexcept {
  return (items + threads - 1) / threads;
}

}  // namespace exatrkx::gpu
