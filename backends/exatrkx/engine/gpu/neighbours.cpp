// Fixed-radius neighbours on a GPU: exatrkx/stages/cuda.py with torch's tensors.
#include <ATen/ops/cumsum.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <cstdint>

#include "../../stages/checks.hpp"
#include "../errors.hpp"
#include "../graph.hpp"
#include "graph.hpp"
#include "kernels.hpp"

namespace exatrkx::gpu {

namespace {

constexpr std::int64_t kAxes = 3;         // as in stages/cuda/grid.cuh
constexpr std::int64_t kCells = 1 << 18;  // kCellBits in stages/cuda/grid.cu
constexpr std::int64_t kExtentWords = 4;  // of Extent there
constexpr std::int64_t kFoundWords = 3;   // as in stages/cuda/limit.cuh
constexpr std::int64_t kLanes = 8;        // as in stages/cuda/neighbours.cu
constexpr std::int64_t kParts = 2048, kMostListed = 128, kMostListedInAll = 1 << 26, kRankingBlocks = 1024;
constexpr std::int64_t kLargestLimit = (std::int64_t{1} << 62) - 1;  // with more no kernel can count

class EdgeSearch {
 public:
  // `embedding` [N,D] FP32, N ≥ 2, contiguous.
  EdgeSearch(const at::Tensor& embedding, const WorkingPoint& cuts)
      : embedding_(embedding),
        count_(embedding.size(0)),
        dims_(embedding.size(1)),
        radius_(cuts.radius),
        max_neighbors_(cuts.max_neighbors),
        max_edges_(std::min(cuts.max_edges, kLargestLimit)),
        capacity_(std::min({cuts.max_neighbors, kMostListed, std::max<std::int64_t>(1, kMostListedInAll / count_)})),
        stream_(current_stream(embedding)),
        // What the kernels count in: zeros at first.
        wide_(at::zeros({kExtentWords * dims_ + kFoundWords + count_}, options(at::kLong))),
        narrow_(at::zeros({kCells + 1 + count_}, options(at::kInt))),
        extents_(wide_.narrow(0, 0, kExtentWords * dims_)),
        found_(wide_.narrow(0, kExtentWords * dims_, kFoundWords)),
        row_size_(wide_.narrow(0, kExtentWords * dims_ + kFoundWords, count_)),
        cell_size_(narrow_.narrow(0, 0, kCells + 1)),
        neighbours_(narrow_.narrow(0, kCells + 1, count_)),
        points_(at::empty_like(embedding)),
        index_(at::empty({count_}, options(at::kInt))),
        plan_(at::empty({4, kAxes}, options(at::kDouble))),
        near_(at::empty({count_, capacity_}, options(at::kInt))),
        furthest_(at::empty({count_}, options(at::kDouble))) {}

  at::Tensor edges() {
    sort_into_cells();
    list();
    find(nullptr, nullptr);
    const at::Tensor row_end = at::cumsum(row_size_, 0);
    const auto edges = row_end[-1].item<std::int64_t>();
    if (edges > max_edges_) {
      check_finite(embedding_, stages::kEmbedding);
      throw GraphTooLargeError(stages::kEmbedding, count_, max_edges_, max_edges_ + 1);
    }
    at::Tensor edge_index = at::empty({2, edges}, options(at::kLong));
    if (edges == 0) return edge_index;
    const at::Tensor pairs = at::empty({edges}, options(at::kLong));  // row · N + column
    find(row_end, pairs);
    order_edges(blocks_for(edges), stream_, pairs, edges, count_, row_end, edge_index);
    return edge_index;
  }

 private:
  [[nodiscard]] at::TensorOptions options(at::ScalarType type) const { return embedding_.options().dtype(type); }

  // Nothing is waited for, and an entry that is not finite uses up the limit on edges.
  void sort_into_cells() {
    const std::int64_t parts = std::min(count_, kParts);
    measure_points(blocks_for(parts * dims_), stream_, embedding_, count_, dims_, parts, extents_, found_);
    plan_grid(1, stream_, extents_, count_, dims_, radius_, plan_);
    const at::Tensor cell = at::empty({count_}, options(at::kInt)), place = at::empty_like(cell);
    find_cells(blocks_for(count_), stream_, embedding_, count_, dims_, plan_, cell, place, cell_size_);
    start_ = at::cumsum(cell_size_, 0, at::kInt);
    sort_points(blocks_for(count_), stream_, embedding_, count_, dims_, cell, place, start_, points_, index_);
  }

  // The neighbours of each point, up to `capacity_`, and, where they are more than it may keep, how far it looks.
  void list() const {
    const bool capped = max_neighbors_ < count_ - 1;
    const std::int64_t most = capped ? max_neighbors_ : capacity_;
    list_neighbours(blocks_for(count_ * kLanes), stream_, points_, count_, dims_, plan_, start_, radius_, most,
                    capacity_, neighbours_, near_, furthest_, max_edges_, found_);
    if (!capped) return;
    find_furthest(std::min(count_, kRankingBlocks), stream_, points_, count_, dims_, plan_, start_, radius_, most,
                  capacity_, neighbours_, near_, furthest_, max_edges_, found_);
  }

  // Tensors, to write the edges; or null, to count them alone.
  template <class RowEnd, class Pairs>
  void find(const RowEnd& row_end, const Pairs& pairs) const {
    find_edges(blocks_for(count_ * kLanes), stream_, points_, index_, count_, dims_, plan_, start_, radius_, capacity_,
               neighbours_, near_, furthest_, max_edges_, found_, row_size_, row_end, pairs);
  }

  at::Tensor embedding_;
  std::int64_t count_, dims_;
  double radius_;
  std::int64_t max_neighbors_, max_edges_, capacity_;
  void* stream_;
  at::Tensor wide_, narrow_;
  at::Tensor extents_, found_, row_size_;  // [4 D], [3], [N] INT64
  at::Tensor cell_size_, neighbours_;      // [cells + 1], [N] INT32
  at::Tensor points_, index_;              // [N,D] FP32, [N] INT32: in the order of their cells, and what they are
  at::Tensor plan_, start_;                // [4,3] FP64, [cells + 1] INT32 the first point of each cell
  at::Tensor near_;                        // [N,capacity] INT32 neighbours, by their place in `points_`
  at::Tensor furthest_;                    // [N] FP64 the largest d² that each point keeps: infinity where that is all
};

}  // namespace

void* current_stream(const at::Tensor& tensor) {
  if (tensor.is_cpu()) return nullptr;
  const c10::impl::VirtualGuardImpl device(tensor.device().type());
  return device.getStream(tensor.device()).native_handle();
}

at::Tensor fixed_radius_edges(const at::Tensor& embedding, const WorkingPoint& cuts) {
  if (embedding.size(0) < 2) {
    check_finite(embedding, stages::kEmbedding);
    return at::empty({2, 0}, embedding.options().dtype(at::kLong));
  }
  return EdgeSearch(embedding.contiguous(), cuts).edges();
}

}  // namespace exatrkx::gpu
