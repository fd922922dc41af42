// Findable hits: those that tracks are looked for, in the columns and the places in which they are looked up.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <vector>

#include "hit_columns.hpp"
#include "hit_places.hpp"
#include "local_helix.hpp"
#include "parallel.hpp"

namespace exatrkx::stages {

class FindableHits {
 public:
  // At least one hit, of these points.
  FindableHits(const std::vector<Point>& points, const std::vector<std::int32_t>& hits, int threads) {
    fill_columns(points, hits, threads);
    fill_places(points, hits);
  }
  FindableHits(const FindableHits&) = delete;
  FindableHits& operator=(const FindableHits&) = delete;

  [[nodiscard]] const HitColumns& columns() const { return columns_; }
  [[nodiscard]] const HitPlaces& places() const { return places_; }
  // The memory that they point to.
  [[nodiscard]] const std::vector<std::int32_t>& begins() const { return begins_; }
  [[nodiscard]] const std::vector<HitColumns::Entry>& entries() const { return entries_; }
  [[nodiscard]] const std::vector<std::int32_t>& sums() const { return sums_; }

 private:
  static constexpr double kColumn = 32.0, kRing = 8.0, kSlice = 16.0;  // mm
  static constexpr double kMost = 512.0;  // of each along an axis: it bounds the memory of an event of any size
  static constexpr std::int64_t kTaskHits = 8192;

  void fill_columns(const std::vector<Point>& points, const std::vector<std::int32_t>& hits, int threads) {
    HitColumns& c = columns_;
    c.low = c.high = 0.0;
    for (const std::int32_t hit : hits) {
      for (const double v : {points[hit].x, points[hit].y}) c.low = std::min(c.low, v), c.high = std::max(c.high, v);
    }
    c.columns = number(c.high - c.low, kColumn);
    c.width = std::max(kColumn, (c.high - c.low) / c.columns);
    begins_.assign(static_cast<std::size_t>(c.columns) * c.columns + 1, 0);
    std::vector<std::int32_t> column(hits.size());
    for (std::size_t i = 0; i < hits.size(); ++i) {
      column[i] = c.column(points[hits[i]].x) * c.columns + c.column(points[hits[i]].y);
      ++begins_[column[i] + 1];
    }
    std::partial_sum(begins_.begin(), begins_.end(), begins_.begin());
    std::vector<std::int32_t> next(begins_.begin(), begins_.end() - 1);
    entries_.resize(hits.size());
    for (std::size_t i = 0; i < hits.size(); ++i) entries_[next[column[i]]++] = {points[hits[i]], hits[i]};
    const auto count = static_cast<std::int64_t>(next.size());
    const std::int64_t tasks = tasks_for(static_cast<std::int64_t>(hits.size()), kTaskHits);
    parallel_for(tasks, threads, [&](std::int64_t task) {
      for (std::int64_t i = count * task / tasks; i < count * (task + 1) / tasks; ++i) {
        std::sort(entries_.begin() + begins_[i], entries_.begin() + begins_[i + 1],
                  [](const HitColumns::Entry& a, const HitColumns::Entry& b) { return a.point.z < b.point.z; });
      }
    });
    c.begin = begins_.data(), c.entries = entries_.data();
  }

  void fill_places(const std::vector<Point>& points, const std::vector<std::int32_t>& hits) {
    HitPlaces& p = places_;
    p.innermost = p.first = std::numeric_limits<double>::max();
    p.outermost = 0.0, p.last = std::numeric_limits<double>::lowest();
    std::vector<double> distance(hits.size());
    for (std::size_t i = 0; i < hits.size(); ++i) {
      const Point& point = points[hits[i]];
      const double r = distance[i] = std::sqrt(point.x * point.x + point.y * point.y);
      p.innermost = std::min(p.innermost, r * (1.0 - 1e-9)), p.outermost = std::max(p.outermost, r * (1.0 + 1e-9));
      p.first = std::min(p.first, point.z), p.last = std::max(p.last, point.z);
    }
    p.rings = number(p.outermost, kRing), p.slices = number(p.last - p.first, kSlice);
    p.ring_width = std::max(kRing, p.outermost / p.rings), p.slice_width = std::max(kSlice, (p.last - p.first) / p.slices);
    sums_.assign(static_cast<std::size_t>(p.rings + 1) * (p.slices + 1), 0);
    for (std::size_t i = 0; i < hits.size(); ++i) ++sums_[p.entry(p.ring(distance[i]) + 1, p.slice(points[hits[i]].z) + 1)];
    for (std::int32_t i = 1; i <= p.rings; ++i) {
      std::int32_t row = 0;
      for (std::int32_t j = 1; j <= p.slices; ++j) {
        row += sums_[p.entry(i, j)];
        sums_[p.entry(i, j)] = row + sums_[p.entry(i - 1, j)];
      }
    }
    p.sums = sums_.data();
  }

  [[nodiscard]] static std::int32_t number(double length, double width) {
    return static_cast<std::int32_t>(std::min(length / width, kMost - 1.0)) + 1;
  }

  HitColumns columns_{};
  HitPlaces places_{};
  std::vector<std::int32_t> begins_;
  std::vector<HitColumns::Entry> entries_;
  std::vector<std::int32_t> sums_;
};

}  // namespace exatrkx::stages
