// Wrong hits of tracks: second ones on a module, and outliers.
#pragma once

#include <cstdint>

#include "both.hpp"
#include "segments.hpp"
#include "track_view.hpp"

namespace exatrkx::stages {

class WrongHits {
 public:
  EXATRKX_BOTH explicit WrongHits(const Segments& segments) : segments_(segments) {}

  // Moves the wrong ones of a track's hits behind the others, which stay in their order; returns how many those are.
  EXATRKX_BOTH std::int32_t drop(std::int32_t* hits, std::int32_t size) const {
    return drop_outliers(hits, drop_second_hits(hits, size));
  }

 private:
  static constexpr double kOutlier = 8.0;  // standard deviations

  // A particle leaves one hit on a module: of two the one is taken off a track that is farther from the helix of the others.
  EXATRKX_BOTH std::int32_t drop_second_hits(std::int32_t* hits, std::int32_t size) const {
    for (std::int32_t i = 0; i + 1 < size && size >= Segments::kFitted && Segments::helical(size - 2);) {
      const TrackView track{hits, size};
      const Point &one = segments_.point(hits[i]), &other = segments_.point(hits[i + 1]);
      Segment s;
      if (!segments_.at(TrackWithout(track, i, 2), i, s) || !Segments::one_module(s.helix, one, other)) {
        ++i;
        continue;
      }
      const bool first_is_worse = segments_.outlying(s, hits[i]) > segments_.outlying(s, hits[i + 1]);
      size = take_off(hits, size, first_is_worse ? i : i + 1);
      i = 0;
    }
    return size;
  }

  // Hits that are far from the helix of the others, the farthest first.
  EXATRKX_BOTH std::int32_t drop_outliers(std::int32_t* hits, std::int32_t size) const {
    while (size >= Segments::kFitted && Segments::helical(size)) {
      std::int32_t worst = -1;
      double largest = kOutlier * kOutlier;
      for (std::int32_t i = 0; i < size; ++i) {
        const double chi2 = segments_.without({hits, size}, i);
        if (chi2 > largest) worst = i, largest = chi2;
      }
      if (worst < 0) break;
      size = take_off(hits, size, worst);
    }
    return size;
  }

  EXATRKX_BOTH static std::int32_t take_off(std::int32_t* hits, std::int32_t size, std::int32_t place) {
    const std::int32_t hit = hits[place];
    for (std::int32_t i = place; i + 1 < size; ++i) hits[i] = hits[i + 1];
    hits[size - 1] = hit;
    return size - 1;
  }

  Segments segments_;
};

}  // namespace exatrkx::stages
