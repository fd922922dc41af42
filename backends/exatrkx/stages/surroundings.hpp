// Surroundings of tracks: the hits, and the other tracks, that fit a segment of one.
#pragma once

#include <cstdint>

#include "both.hpp"
#include "segment_search.hpp"
#include "segments.hpp"
#include "track_view.hpp"

namespace exatrkx::stages {

// A hit, or another track, that fits a track.
struct Match {
  double score;               // the smaller the better
  std::int32_t track, other;  // of a merge the smaller track first
  std::int32_t place;         // a number of the segment that has found the hit; kMerge: what it has found is a track
  std::int32_t unused;        // so that all of its bytes are written

  static constexpr std::int32_t kMerge = -1;
};

class Surroundings {
 public:
  // `label` of each hit: its track's place in `tracks`, or -1.
  EXATRKX_BOTH Surroundings(const SegmentSearch& search, const std::int32_t* label, const TrackView* tracks)
      : search_(search), label_(label), tracks_(tracks) {}

  [[nodiscard]] EXATRKX_BOTH const Segments& segments() const { return search_.segments(); }
  [[nodiscard]] EXATRKX_BOTH const TrackView& track(std::int32_t number) const { return tracks_[number]; }

  // Calls add(match) for each track that fits a segment of this one, and for the best hit that a lane has found.
  template <class Add>
  EXATRKX_BOTH void look(const Segment& s, std::int32_t number, std::int32_t place, const Lane& lane, Add&& add) const {
    Match best{0.0, number, -1, place, 0};
    search_.visit(s, lane, [&](std::int32_t hit) {
      const std::int32_t other = label_[hit];
      double value = 0.0, back = 0.0;
      if (other == number || !segments().score(s, hit, value)) return;
      if (other >= 0) {
        if (score_back(s, hit, back)) {
          add(Match{value * back, smaller(number, other), larger(number, other), Match::kMerge, 0});
        }
      } else if (best.other < 0 || value < best.score || (value == best.score && hit < best.other)) {
        best.score = value;
        best.other = hit;
      }
    });
    if (best.other >= 0) add(best);
  }

 private:
  static constexpr double kOverlap = 15.0;  // mm, of modules

  // The same from the other side: how well the nearest hit of the segment's track fits the one whose end was found.
  // Two tracks that run side by side are no pieces of one: all of the other must be within the segment.
  [[nodiscard]] EXATRKX_BOTH bool score_back(const Segment& s, std::int32_t end, double& value) const {
    const TrackView& other = tracks_[label_[end]];
    if (!Segments::helical(other.size()) || (end != other.front() && end != other.back())) return false;
    const bool at_front = end == other.front();
    const double far = s.helix.along(segments().point(at_front ? other.back() : other.front()));
    if (s.before >= 0 && !(far >= s.begin - kOverlap)) return false;
    if (s.after >= 0 && !(far <= s.end + kOverlap)) return false;
    Segment theirs;
    if (!segments().at(other, at_front ? 0 : other.size(), theirs)) return false;
    const bool near_begin = s.near_begin(s.helix.along(segments().point(end)));
    return segments().score(theirs, near_begin ? s.before : s.after, value);
  }

  SegmentSearch search_;
  const std::int32_t* label_;
  const TrackView* tracks_;
};

}  // namespace exatrkx::stages
