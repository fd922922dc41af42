// CUDA kernel launches: the stages' kernels (../../stages/cuda, completion.cu) as functions of the host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <type_traits>

namespace exatrkx::gpu {

// Every kernel, by its name in ../../stages/cuda or completion.cu.
#define EXATRKX_KERNELS(each)                                                           \
  each(check_entries) each(contract_components) each(copy_selected)                     \
  each(count_selected) each(drop_wrong_hits)                                            \
  each(find_cells) each(find_disputed) each(find_edges)                                 \
  each(find_furthest) each(find_roots) each(gather_disputed) each(join_edges)           \
  each(list_disputed) each(list_neighbours) each(look_around) each(mark_candidates)     \
  each(measure_points) each(number_tracks) each(order_edges) each(plan_grid)            \
  each(sort_points) each(update_tracks)

#define EXATRKX_ENUMERATOR(kernel) kernel,
enum class KernelName { EXATRKX_KERNELS(EXATRKX_ENUMERATOR) };
#undef EXATRKX_ENUMERATOR

// Threads per block, where a kernel has no reason for another number.
inline constexpr int kThreads = 128;

// Whether this build has the kernels.
[[nodiscard]] bool has_kernels() noexcept;

// Starts a kernel on the current device; `stream` is a cudaStream_t, and `arguments` points to the value of each
// argument. Throws std::runtime_error where CUDA refuses.
void launch(KernelName name, std::int64_t blocks, int threads, void** arguments, void* stream);

// What a kernel is given for a value: the memory of a tensor, null for nullptr, a number, or what is the argument itself.
template <class Argument, class Value>
Argument argument_of(const Value& value) {
  if constexpr (std::is_arithmetic_v<Value> || std::is_null_pointer_v<Value> || std::is_same_v<Argument, Value>) {
    return static_cast<Argument>(value);
  } else {
    constexpr std::size_t kSize = sizeof(std::remove_pointer_t<Argument>);
    if (value.element_size() != kSize) throw std::logic_error("a kernel is given a tensor of another type");
    return static_cast<Argument>(value.data_ptr());
  }
}

// A kernel with the types of its arguments, which must be those in the .cu file.
template <KernelName name, class... Arguments>
struct Kernel {
  template <class... Values>
  void operator()(std::int64_t blocks, void* stream, const Values&... values) const {
    if (blocks > 0) start(blocks, stream, argument_of<Arguments>(values)...);
  }

 private:
  static void start(std::int64_t blocks, void* stream, Arguments... arguments) {
    void* pointers[] = {&arguments...};
    launch(name, blocks, kThreads, pointers, stream);
  }
};

// Blocks that give each item a thread.
[[nodiscard]] constexpr std::int64_t blocks_for(std::int64_t items) noexcept {
  return (items + kThreads - 1) / kThreads;
}

inline constexpr Kernel<KernelName::measure_points, const float*, int, int, int, unsigned long long*,
                        unsigned long long*>
    measure_points;
inline constexpr Kernel<KernelName::plan_grid, const unsigned long long*, int, int, double, double*> plan_grid;
inline constexpr Kernel<KernelName::find_cells, const float*, int, int, const double*, int*, int*, int*> find_cells;
inline constexpr Kernel<KernelName::sort_points, const float*, int, int, const int*, const int*, const int*, float*,
                        int*>
    sort_points;
inline constexpr Kernel<KernelName::list_neighbours, const float*, int, int, const double*, const int*, double, int,
                        int, int*, int*, double*, long long, unsigned long long*>
    list_neighbours;
inline constexpr Kernel<KernelName::find_furthest, const float*, int, int, const double*, const int*, double, int, int,
                        int*, int*, double*, long long, unsigned long long*>
    find_furthest;
inline constexpr Kernel<KernelName::find_edges, const float*, const int*, int, int, const double*, const int*, double,
                        int, const int*, const int*, const double*, long long, unsigned long long*,
                        unsigned long long*, const unsigned long long*, long long*>
    find_edges;
inline constexpr Kernel<KernelName::order_edges, const long long*, long long, int, const unsigned long long*,
                        long long*>
    order_edges;
inline constexpr Kernel<KernelName::count_selected, const long long*, const float*, long long, float, long long*>
    count_selected;
inline constexpr Kernel<KernelName::copy_selected, const long long*, const float*, long long, float, const long long*,
                        long long, long long*>
    copy_selected;
inline constexpr Kernel<KernelName::check_entries, const long long*, const float*, long long, int, int*, int*>
    check_entries;
inline constexpr Kernel<KernelName::join_edges, const long long*, const float*, long long, float, const int*, int*>
    join_edges;
inline constexpr Kernel<KernelName::find_roots, int*, int, int*, int*> find_roots;
inline constexpr Kernel<KernelName::mark_candidates, int, const int*, const int*, int, int*> mark_candidates;
inline constexpr Kernel<KernelName::number_tracks, int, const int*, const int*, const int*, long long*> number_tracks;
inline constexpr Kernel<KernelName::find_disputed, const long long*, const float*, long long, float, const int*,
                        const int*, unsigned long long*, int*>
    find_disputed;
inline constexpr Kernel<KernelName::list_disputed, int, const int*, const int*, const unsigned long long*, int*, int*,
                        int*, int*, unsigned long long*>
    list_disputed;
inline constexpr Kernel<KernelName::gather_disputed, const long long*, const float*, long long, int, const int*,
                        const int*, const int*, int*, int*, unsigned long long*, long long*>
    gather_disputed;
inline constexpr Kernel<KernelName::contract_components, const long long*, const float*, long long, float, const int*,
                        const int*, const unsigned long long*, const int*, const int*, const unsigned long long*,
                        const long long*, int*, int*, int*>
    contract_components;

}  // namespace exatrkx::gpu
