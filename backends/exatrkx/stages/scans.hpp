// SIMD scans: the inner loops of the neighbour search.
#pragma once

#include "scan_avx2.hpp"
#include "scan_portable.hpp"

namespace exatrkx::stages {

// The fastest scans that this processor runs.
[[nodiscard]] inline Scans best_scans() noexcept {
#ifdef EXATRKX_STAGES_AVX2
  if (has_avx2()) return {scan_points_avx2, scan_boxes_avx2, scan_tree_avx2};
#endif
  return {scan_points_portable, scan_boxes_portable, scan_tree_portable};
}

}  // namespace exatrkx::stages
