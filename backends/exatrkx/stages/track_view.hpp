// Tracks as they are looked at, on host and device: their hits, from the beam outwards.
#pragma once

#include <cstdint>

#include "both.hpp"

namespace exatrkx::stages {

struct TrackView {
  const std::int32_t* hits;
  std::int32_t count;

  [[nodiscard]] EXATRKX_BOTH std::int32_t size() const { return count; }
  [[nodiscard]] EXATRKX_BOTH std::int32_t operator[](std::int32_t i) const { return hits[i]; }
  [[nodiscard]] EXATRKX_BOTH std::int32_t front() const { return hits[0]; }
  [[nodiscard]] EXATRKX_BOTH std::int32_t back() const { return hits[count - 1]; }
};

// A track as it would be without some of its hits that follow one another.
class TrackWithout {
 public:
  EXATRKX_BOTH TrackWithout(const TrackView& track, std::int32_t first, std::int32_t count)
      : track_(track), first_(first), count_(count) {}
  [[nodiscard]] EXATRKX_BOTH std::int32_t size() const { return track_.size() - count_; }
  [[nodiscard]] EXATRKX_BOTH std::int32_t operator[](std::int32_t i) const {
    return track_[i < first_ ? i : i + count_];
  }

 private:
  TrackView track_;
  std::int32_t first_, count_;
};

}  // namespace exatrkx::stages
