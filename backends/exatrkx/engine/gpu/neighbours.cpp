// Fixed-radius neighbours: exatrkx/stages/cuda.py with torch's tensors.
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/floor_divide.h>
#include <ATen/ops/full.h>
#include <ATen/ops/nonzero.h>
#include <ATen/ops/remainder.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <c10/core/impl/VirtualGuardImpl.h>

#include <limits>

#include "../../stages/checks.hpp"
#include "../errors.hpp"
#include "../graph.hpp"
#include "graph.hpp"
#include "grid.hpp"
#include "kernels.hpp"

namespace exatrkx::gpu {

namespace {

// INT64 as the kernels write it.
const long long* numbers(const at::Tensor& tensor) {
  return reinterpret_cast<const long long*>(tensor.const_data_ptr<std::int64_t>());
}
long long* writable(const at::Tensor& tensor) {
  return reinterpret_cast<long long*>(tensor.mutable_data_ptr<std::int64_t>());
}

class EdgeSearch {
 public:
  EdgeSearch(const at::Tensor& embedding, const WorkingPoint& cuts)
      : cuts_(cuts),
        sorted_(sort_into_cells(embedding, cuts.radius)),
        count_(embedding.size(0)),
        stream_(current_stream(embedding)),
        found_(at::zeros({2}, options(at::kLong))),
        furthest_(furthest()) {}

  at::Tensor edges() {
    const at::Tensor row_size = at::empty({count_}, options(at::kLong));
    find(row_size, nullptr, nullptr);
    const at::Tensor row_end = at::cumsum(row_size, 0);
    const auto edges = row_end[-1].item<std::int64_t>();
    if (edges > cuts_.max_edges) throw GraphTooLargeError(stages::kEmbedding, count_, cuts_.max_edges);
    at::Tensor pairs = at::empty({edges}, options(at::kLong));  // row · N + column
    if (edges > 0) {
      find(row_size, numbers(row_end), writable(pairs));
      pairs = std::get<0>(at::sort(pairs));
    }
    return at::stack({at::floor_divide(pairs, count_), at::remainder(pairs, count_)});
  }

 private:
  [[nodiscard]] at::TensorOptions options(at::ScalarType type) const { return sorted_.points.options().dtype(type); }
  [[nodiscard]] const float* points() const { return sorted_.points.const_data_ptr<float>(); }
  [[nodiscard]] int dims() const { return static_cast<int>(sorted_.points.size(1)); }

  void find(const at::Tensor& row_size, const long long* row_end, long long* pairs) const {
    const Axes& axes = sorted_.axes;
    find_edges(blocks_for(count_), stream_, points(), sorted_.index.const_data_ptr<int>(), static_cast<int>(count_),
               dims(), axes.dimension.const_data_ptr<int>(), axes.lower.const_data_ptr<double>(),
               axes.per_unit.const_data_ptr<double>(), axes.cells.const_data_ptr<int>(), numbers(sorted_.start),
               cuts_.radius, furthest_.const_data_ptr<double>(), cuts_.max_edges, found(), writable(row_size), row_end,
               pairs);
  }

  // Edges found so far, as the kernels count them to give a crowd up.
  [[nodiscard]] unsigned long long* found() const {
    return reinterpret_cast<unsigned long long*>(found_.mutable_data_ptr<std::int64_t>());
  }

  // [N] FP64 the largest d² that each point keeps: infinity where it has no more neighbours than it may keep.
  at::Tensor furthest() const {
    at::Tensor furthest = at::full({count_}, std::numeric_limits<double>::infinity(), options(at::kDouble));
    if (cuts_.max_neighbors >= count_ - 1) return furthest;
    const Axes& axes = sorted_.axes;
    const at::Tensor neighbours = at::empty({count_}, options(at::kInt));
    count_neighbours(blocks_for(count_), stream_, points(), static_cast<int>(count_), dims(),
                     axes.dimension.const_data_ptr<int>(), axes.lower.const_data_ptr<double>(),
                     axes.per_unit.const_data_ptr<double>(), axes.cells.const_data_ptr<int>(), numbers(sorted_.start),
                     cuts_.radius, static_cast<int>(cuts_.max_neighbors) + 1, neighbours.mutable_data_ptr<int>());
    const at::Tensor capped = at::nonzero(neighbours.gt(cuts_.max_neighbors)).view({-1}).to(at::kInt);
    find_furthest(capped.numel(), stream_, points(), dims(), axes.dimension.const_data_ptr<int>(),
                  axes.lower.const_data_ptr<double>(), axes.per_unit.const_data_ptr<double>(),
                  axes.cells.const_data_ptr<int>(), numbers(sorted_.start), cuts_.radius, capped.const_data_ptr<int>(),
                  static_cast<int>(capped.numel()), static_cast<int>(cuts_.max_neighbors),
                  furthest.mutable_data_ptr<double>(), cuts_.max_edges, found());
    return furthest;
  }

  const WorkingPoint& cuts_;
  SortedPoints sorted_;
  std::int64_t count_;
  void* stream_;
  at::Tensor found_;  // [2] INT64
  at::Tensor furthest_;
};

}  // namespace

void* current_stream(const at::Tensor& tensor) {
  if (tensor.is_cpu()) return nullptr;
  const c10::impl::VirtualGuardImpl device(tensor.device().type());
  return device.getStream(tensor.device()).native_handle();
}

at::Tensor fixed_radius_edges(const at::Tensor& embedding, const WorkingPoint& cuts) {
  check_finite(embedding, stages::kEmbedding);
  if (embedding.size(0) < 2) return at::empty({2, 0}, embedding.options().dtype(at::kLong));
  return EdgeSearch(embedding.contiguous(), cuts).edges();
}

}  // namespace exatrkx::gpu
