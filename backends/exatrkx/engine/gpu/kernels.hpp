// CUDA kernel calls: the kernels of stages and networks (../../stages/cuda, ../../networks/cuda) as functions of the host,
// of tensors and numbers.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/record_function.h>

#include <cstddef>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "launcher.hpp"

namespace exatrkx::gpu {

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

// The same for PyTorch's profiler, which sees a kernel as it sees an operator.
template <class Value>
c10::IValue recorded(const Value& value) {
  if constexpr (std::is_same_v<Value, at::Tensor>) {
    return value;
  } else {
    return {};
  }
}

// A kernel with the types of its arguments, which must be those in the .cu file; tables of rows are their numbers here.
template <KernelName name, class... Arguments>
struct Kernel {
  template <class... Values>
  void operator()(std::int64_t blocks, void* stream, const Values&... values) const {
    if (blocks == 0) return;
    RECORD_FUNCTION(kKernelTexts[static_cast<int>(name)], std::vector<c10::IValue>{recorded(values)...});
    start(blocks, stream, argument_of<Arguments>(values)...);
  }

 private:
  static void start(std::int64_t blocks, void* stream, Arguments... arguments) {
    void* pointers[] = {&arguments...};
    launch(name, blocks, threads_of(name), pointers, stream);
  }
};

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

inline constexpr Kernel<KernelName::embed_points, const float*, int, int, const float*, int, int, int, float*>
    embed_points;
inline constexpr Kernel<KernelName::describe_nodes, const float*, int, int, float*> describe_nodes;
inline constexpr Kernel<KernelName::score_edges, const float*, const long long*, long long, const float*, float*>
    score_edges;
inline constexpr Kernel<KernelName::orient_edges, const float*, int, const long long*, long long, int*, int*>
    orient_edges;
inline constexpr Kernel<KernelName::encode_edges, const float*, const long long*, long long, const long long*,
                        const float*, int*, float*, float*, float*, long long*>
    encode_edges;
inline constexpr Kernel<KernelName::score_triplets, int, int, int, const int*, const long long*, const int*,
                        const float*, const float*, float*>
    score_triplets;
inline constexpr Kernel<KernelName::propagate_beliefs, int, int, int, const int*, const long long*, const float*,
                        const float*, float*, float*, float*>
    propagate_beliefs;
inline constexpr Kernel<KernelName::list_hopeful, long long, const float*, const int*, int*> list_hopeful;
inline constexpr Kernel<KernelName::update_edges, long long, int, const int*, const int*, const long long*, const int*,
                        const float*, const float*, const float*, const float*, int, float*, float*, float*>
    update_edges;

}  // namespace exatrkx::gpu
