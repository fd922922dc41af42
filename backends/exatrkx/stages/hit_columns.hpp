// Hits of an event by place: square columns of the transverse plane, each in the order of z.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "hit_places.hpp"
#include "local_helix.hpp"

namespace exatrkx::stages {

// The hits that may be found, in square columns of the transverse plane.
class HitColumns {
 public:
  HitColumns(const std::vector<Point>& points, const std::vector<std::int32_t>& hits) : places_(points, hits) {
    for (const std::int32_t hit : hits) {
      for (const double v : {points[hit].x, points[hit].y}) {
        low_ = std::min(low_, v);
        high_ = std::max(high_, v);
      }
    }
    columns_ = hits.empty() ? 0 : static_cast<std::int32_t>(std::min((high_ - low_) / kWidth, kMostColumns - 1.0)) + 1;
    width_ = std::max(kWidth, (high_ - low_) / columns_);
    begin_.assign(static_cast<std::size_t>(columns_) * columns_ + 1, 0);
    const auto cell = [&](std::int32_t hit) { return column(points[hit].x) * columns_ + column(points[hit].y); };
    for (const std::int32_t hit : hits) ++begin_[cell(hit) + 1];
    std::partial_sum(begin_.begin(), begin_.end(), begin_.begin());
    std::vector<std::int32_t> next(begin_.begin(), begin_.end() - 1);
    entries_.resize(hits.size());
    for (const std::int32_t hit : hits) entries_[next[cell(hit)]++] = {points[hit], hit};
    for (std::size_t c = 0; c + 1 < begin_.size(); ++c) {
      std::sort(entries_.begin() + begin_[c], entries_.begin() + begin_[c + 1],
                [](const Entry& a, const Entry& b) { return a.point.z < b.point.z; });
    }
  }

  // Calls visit(hit, point) for at least the hits within the box.
  template <class Visit>
  void within(const Point& low, const Point& high, Visit&& visit) const {
    if (columns_ == 0 || high.x < low_ || low.x > high_ || high.y < low_ || low.y > high_) return;
    for (std::int32_t i = column(low.x); i <= column(high.x); ++i) {
      for (std::int32_t j = column(low.y); j <= column(high.y); ++j) {
        const auto end = entries_.begin() + begin_[i * columns_ + j + 1];
        auto entry = std::lower_bound(entries_.begin() + begin_[i * columns_ + j], end, low.z,
                                      [](const Entry& e, double z) { return e.point.z < z; });
        for (; entry != end && entry->point.z <= high.z; ++entry) visit(entry->hit, entry->point);
      }
    }
  }

  [[nodiscard]] double width() const { return width_; }
  [[nodiscard]] const HitPlaces& places() const { return places_; }

 private:
  static constexpr double kWidth = 32.0, kMostColumns = 512.0;  // mm; bounds the memory of an event of any size

  struct Entry {
    Point point;
    std::int32_t hit;
  };

  [[nodiscard]] std::int32_t column(double v) const {
    return static_cast<std::int32_t>(std::clamp((v - low_) / width_, 0.0, columns_ - 1.0));
  }

  HitPlaces places_;
  double low_ = 0.0, high_ = 0.0, width_ = kWidth;
  std::int32_t columns_ = 0;
  std::vector<std::int32_t> begin_;
  std::vector<Entry> entries_;
};

}  // namespace exatrkx::stages
