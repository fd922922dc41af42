// Neighbourhood of one point: the neighbours that it keeps, those within the radius, or the nearest of them where
// there are too many.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "distance.hpp"
#include "scans.hpp"
#include "tree.hpp"

namespace exatrkx::stages {

// One thread's working memory. `open` looks up the blocks near a leaf; `keep` then finds what a point of it keeps.
class Neighbourhood {
 public:
  Neighbourhood(const PointTree& tree, const float* points, int dims, double radius, std::int64_t max_neighbors)
      : tree_(tree),
        points_(points),
        dims_(dims),
        radius_squared_(radius * radius),
        max_neighbors_(max_neighbors),
        rounding_(dims),
        scans_(best_scans()) {}

  // `reach` bounds the d² of all that the leaf's points keep.
  void open(std::int64_t leaf_node, double reach) {
    near_.resize(static_cast<std::size_t>(tree_.blocks()));
    near_squared_.resize(near_.size());
    Hits near{near_.data(), near_squared_.data(), 0};
    float limit = rounding_.around(radius_squared_).maybe;
    if (reach < radius_squared_ && Rounding::trusted(radius_squared_)) limit = rounding_.above(reach);
    scans_.tree(tree_.boxes.data(), tree_.leaves.data(), tree_.nodes(), dims_, tree_.box(leaf_node), limit, near);
    near_count_ = static_cast<std::size_t>(near.count);
    // Nearest first, so that a point with too many neighbours soon stops looking.
    if (near.count * kBlock > many()) sort_near();
    copy_boxes();
    reach_ = reach;
  }

  // Finds `smaller()` and `larger()`, and returns the largest d² kept: infinity where the cap is not at work.
  double keep(std::int32_t point) {
    query_ = points_ + static_cast<std::int64_t>(point) * dims_;
    limits_ = rounding_.around(radius_squared_);
    const bool all = gather();
    start_kept();
    if (!all) return keep_nearest(point);
    for (std::int64_t i = 0; i < hits_.count; ++i) {
      const std::int32_t other = tree_.order[position_[i]];
      if (squared_[i] <= limits_.sure || exact(other) < radius_squared_) keep_pair(point, other);
    }
    return std::numeric_limits<double>::infinity();
  }

  // How many points this one keeps, of which no more than `most` are looked for; `most` is at most the cap.
  [[nodiscard]] std::int64_t count(std::int32_t point, std::int64_t most) {
    query_ = points_ + static_cast<std::int64_t>(point) * dims_;
    limits_ = rounding_.around(radius_squared_);
    hits_ = {position_.data(), squared_.data(), 0};
    const auto blocks = static_cast<std::int64_t>(near_count_);
    std::int64_t found = 0;
    for (std::int64_t next = 0, looked = 0; next < blocks && found < most; next += kStride) {
      make_room();
      scans_.points(tree_.storage.data(), dims_, &near_[next], std::min(kStride, blocks - next), query_, limits_.maybe,
                    hits_);
      for (; looked < hits_.count; ++looked) {
        const std::int32_t other = tree_.order[position_[looked]];
        found += other != point && (squared_[looked] <= limits_.sure || exact(other) < radius_squared_);
      }
    }
    return std::min(found, most);
  }

  // The points kept whose index is smaller, or larger, than that of the point that keeps them; in no order.
  [[nodiscard]] std::span<const std::int32_t> smaller() const noexcept { return {smaller_.data(), smaller_count_}; }
  [[nodiscard]] std::span<const std::int32_t> larger() const noexcept { return {larger_.data(), larger_count_}; }

 private:
  static constexpr std::int64_t kStride = 8;  // blocks between two looks at the bound

  [[nodiscard]] double exact(std::int32_t other) const noexcept {
    return exact_squared(query_, points_ + static_cast<std::int64_t>(other) * dims_, dims_);
  }

  void start_kept() {
    smaller_count_ = larger_count_ = 0;
    if (smaller_.size() >= position_.size()) return;
    smaller_.resize(position_.size());
    larger_.resize(position_.size());
  }
  // Which of the two it is cannot be predicted, so both are written and one is counted; the point itself is neither.
  void keep_pair(std::int32_t point, std::int32_t other) noexcept {
    smaller_[smaller_count_] = larger_[larger_count_] = other;
    smaller_count_ += other < point;
    larger_count_ += other > point;
  }

  // So many hits that looking for the nearest of them pays.
  [[nodiscard]] std::int64_t many() const noexcept { return 2 * max_neighbors_ + kStride * kBlock; }

  void sort_near() {
    near_order_.clear();
    for (std::size_t i = 0; i < near_count_; ++i) near_order_.emplace_back(near_squared_[i], near_[i]);
    std::sort(near_order_.begin(), near_order_.end());
    for (std::size_t i = 0; i < near_count_; ++i) near_[i] = near_order_[i].second;
  }

  // The near blocks' boxes, side by side; the last group is filled up with boxes that nothing is near to.
  void copy_boxes() {
    const auto groups = static_cast<std::size_t>(tasks_for(static_cast<std::int64_t>(near_count_), kGroup));
    boxes_.assign(groups * static_cast<std::size_t>(dims_) * 2 * kGroup, std::numeric_limits<float>::quiet_NaN());
    for (std::size_t i = 0; i < near_count_; ++i) {
      float* edges = &boxes_[(i / kGroup) * static_cast<std::size_t>(dims_) * 2 * kGroup + i % kGroup];
      const float *lower = tree_.lower(tree_.leaf_node[near_[i]]), *upper = tree_.upper(tree_.leaf_node[near_[i]]);
      for (int k = 0; k < dims_; ++k) {
        edges[k * 2 * kGroup] = lower[k];
        edges[k * 2 * kGroup + kGroup] = upper[k];
      }
    }
    box_item_.resize(groups * kGroup);
    box_squared_.resize(box_item_.size());
  }

  // Finds the points that `query_` may keep, itself included; true if these are all that are within the radius.
  bool gather() {
    const bool trusted = Rounding::trusted(radius_squared_);
    if (trusted) limits_.maybe = rounding_.above(std::min(radius_squared_, reach_));
    Hits boxes{box_item_.data(), box_squared_.data(), 0};
    scans_.boxes(boxes_.data(), dims_, static_cast<std::int64_t>(box_item_.size()) / kGroup, query_, limits_.maybe,
                 boxes);
    hits_ = {position_.data(), squared_.data(), 0};
    std::int64_t too_many = many();
    nearest_ = -1.0F;
    bool all = reach_ >= radius_squared_;
    for (std::int64_t next = 0; next < boxes.count;) {
      std::int32_t blocks[kStride];
      std::int64_t count = 0;
      for (; next < boxes.count && count < kStride; ++next) {
        if (boxes.squared[next] <= limits_.maybe) blocks[count++] = near_[boxes.item[next]];
      }
      make_room();
      scans_.points(tree_.storage.data(), dims_, blocks, count, query_, limits_.maybe, hits_);
      if (trusted && hits_.count > too_many) {
        tighten();
        all = false;
        too_many = std::max(too_many, 2 * hits_.count);  // ties can be more than any cap
      }
    }
    if (hits_.count <= max_neighbors_ + 1) return all;
    if (trusted) tighten();
    return false;
  }

  // Drops the hits that are further than the `max_neighbors` nearest, and looks no further from now on.
  void tighten() {
    sorted_.assign(squared_.begin(), squared_.begin() + hits_.count);
    std::nth_element(sorted_.begin(), sorted_.begin() + max_neighbors_, sorted_.end());
    nearest_ = rounding_.below(sorted_[max_neighbors_]);
    limits_.maybe = std::min(limits_.maybe, rounding_.above(rounding_.exact_above(sorted_[max_neighbors_])));
    std::int64_t left = 0;
    for (std::int64_t i = 0; i < hits_.count; ++i) {
      position_[left] = position_[i];
      squared_[left] = squared_[i];
      left += squared_[i] <= limits_.maybe;
    }
    hits_.count = left;
  }

  // The exact distance is looked at where FP32 leaves open which points are the nearest.
  double keep_nearest(std::int32_t point) {
    measured_.clear();
    std::int64_t left = max_neighbors_;
    for (std::int64_t i = 0; i < hits_.count; ++i) {
      const std::int32_t other = tree_.order[position_[i]];
      if (other == point) continue;
      if (squared_[i] < nearest_ && squared_[i] <= limits_.sure) {
        keep_pair(point, other);
        --left;
        continue;
      }
      const double squared = exact(other);
      if (squared < radius_squared_) measured_.emplace_back(squared, other);
    }
    double furthest = std::numeric_limits<double>::infinity();
    if (static_cast<std::int64_t>(measured_.size()) >= left) {
      const auto last = measured_.begin() + (left - 1);
      std::nth_element(measured_.begin(), last, measured_.end());
      furthest = last->first;
    }
    for (const auto& [squared, other] : measured_) {
      if (squared <= furthest) keep_pair(point, other);
    }
    return furthest;
  }

  void make_room() {
    const auto needed = static_cast<std::size_t>(hits_.count + kStride * kBlock);
    if (position_.size() >= needed) return;
    position_.resize(2 * needed);
    squared_.resize(2 * needed);
    hits_.item = position_.data();
    hits_.squared = squared_.data();
  }

  const PointTree& tree_;
  const float* points_;
  int dims_;
  double radius_squared_;
  std::int64_t max_neighbors_;
  Rounding rounding_;
  Scans scans_;
  double reach_ = 0.0;
  const float* query_ = nullptr;
  Limits limits_{};
  float nearest_ = -1.0F;  // FP32 d² below which a hit is among the nearest for certain
  std::vector<std::int32_t> near_;  // blocks
  std::vector<float> near_squared_;
  std::size_t near_count_ = 0;
  std::vector<std::pair<float, std::int32_t>> near_order_;
  std::vector<float> boxes_;  // [groups, dims, 2, kGroup]
  std::vector<std::int32_t> box_item_, position_;
  std::vector<float> box_squared_, squared_, sorted_;
  std::vector<std::pair<double, std::int32_t>> measured_;
  Hits hits_{};
  std::vector<std::int32_t> smaller_, larger_;
  std::size_t smaller_count_ = 0, larger_count_ = 0;
};

}  // namespace exatrkx::stages
