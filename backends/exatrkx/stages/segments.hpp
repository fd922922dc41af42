// Segments of tracks: local helices on which further hits are looked for, and how well a hit fits one. In the order of
// exatrkx/stages/reference_completion.py, so that both give the same bits.
#pragma once

#include <cmath>
#include <cstdint>

#include "both.hpp"
#include "local_helix.hpp"
#include "track_view.hpp"

namespace exatrkx::stages {

// A part of a track: between two of its hits, or from its first or last one on.
struct Segment {
  LocalHelix helix;
  std::int32_t before, after;  // hits, -1 for none
  double begin, end;           // their places along the helix, or as far as it reaches
  double farthest;             // at least as far from the beam as they are

  // Whether a place along it is nearer to the hit before it.
  [[nodiscard]] EXATRKX_BOTH bool near_begin(double x) const {
    return after < 0 || (before >= 0 && x - begin <= end - x);
  }
};

class Segments {
 public:
  static constexpr std::int32_t kFitted = 5;      // hits of a local helix
  static constexpr std::int32_t kMostHits = 100;  // of a track that is completed
  static constexpr double kSteepest = 1.0;        // slope of the helix to its chord
  static constexpr double kWidest = 10.0;         // mm, standard deviation: more says nothing

  // `free`: hits on no track.
  EXATRKX_BOTH Segments(const Point* points, const CompletionCuts& cuts, double free)
      : points_(points), cuts_(cuts), free_(free) {}

  [[nodiscard]] EXATRKX_BOTH const Point& point(std::int32_t hit) const { return points_[hit]; }
  [[nodiscard]] EXATRKX_BOTH const CompletionCuts& cuts() const { return cuts_; }
  [[nodiscard]] EXATRKX_BOTH double free() const { return free_; }

  [[nodiscard]] EXATRKX_BOTH static bool helical(std::int32_t hits) { return hits >= 3 && hits <= kMostHits; }

  // The first of a track's hits that the helix at this place goes through: several places have one helix.
  [[nodiscard]] EXATRKX_BOTH static std::int32_t first_fitted(std::int32_t size, std::int32_t place) {
    return smaller(place - smaller(place, kFitted / 2), size - smaller(size, kFitted));
  }

  template <class Hits>
  [[nodiscard]] EXATRKX_BOTH bool fit(const Hits& track, std::int32_t first, LocalHelix& helix) const {
    const std::int32_t fitted = smaller(track.size(), kFitted);
    Point hits[kFitted];
    for (std::int32_t i = 0; i < fitted; ++i) hits[i] = points_[track[first + i]];
    return helix.fit(hits, fitted);
  }

  // The segment with this helix whose hit after it is at `place` of the track, 0 … size. False where there is none.
  template <class Hits>
  [[nodiscard]] EXATRKX_BOTH bool at(const Hits& track, std::int32_t place, const LocalHelix& helix, Segment& s) const {
    const double reach = cuts_.reach / helix.stretch();
    s.helix = helix;
    s.before = place == 0 ? -1 : track[place - 1];
    s.after = place == track.size() ? -1 : track[place];
    s.farthest = larger(s.before >= 0 ? beyond(s.before) : 0.0, s.after >= 0 ? beyond(s.after) : 0.0);
    s.begin = s.before >= 0 ? helix.along(points_[s.before]) : helix.along(points_[s.after]) - reach;
    s.end = s.after >= 0 ? helix.along(points_[s.after]) : s.begin + reach;
    return s.end - s.begin <= 2.0 * reach;
  }

  // The same with the helix that is fitted there.
  template <class Hits>
  [[nodiscard]] EXATRKX_BOTH bool at(const Hits& track, std::int32_t place, Segment& s) const {
    LocalHelix helix;
    return fit(track, first_fitted(track.size(), place), helix) && at(track, place, helix, s);
  }

  // χ² of a track's hit on the helix of the others; 0 where they make none.
  [[nodiscard]] EXATRKX_BOTH double without(const TrackView& track, std::int32_t place) const {
    Segment s;
    return at(TrackWithout(track, place, 1), place, s) ? outlying(s, track[place]) : 0.0;
  }

  // χ² of a hit on a segment, where it may lie a little off it.
  [[nodiscard]] EXATRKX_BOTH double outlying(const Segment& s, std::int32_t hit) const {
    const Point& p = points_[hit];
    const double x = s.helix.along(p), t = s.helix.transverse(p, x), l = s.helix.longitudinal(p, x);
    const Spread spread = expected(s, p, x).spread;
    const double across = kAcross * spread.strip, moved = kDisplaced * kDisplaced;
    return t * t / (spread.transverse + across * across + moved) + l * l / (spread.longitudinal + moved);
  }

  // Whether two hits near a helix may be on one module: on a disc where it runs along the beam, on a barrel else.
  [[nodiscard]] EXATRKX_BOTH static bool one_module(const LocalHelix& helix, const Point& a, const Point& b) {
    if (helix.stretch() > kAlongBeam) return std::abs(a.z - b.z) < kFlat;
    return std::abs(helix.along(a) - helix.along(b)) < kThick;
  }

  // How well a hit fits, the smaller the better; false where it does not.
  [[nodiscard]] EXATRKX_BOTH bool score(const Segment& s, std::int32_t hit, double& value) const {
    const Point& p = points_[hit];
    const double x = s.helix.along(p);
    if (!(x >= s.begin && x <= s.end) || !(std::abs(s.helix.slope(x)) <= kSteepest)) return false;
    const Place place = expected(s, p, x);
    const Point& node = place.node;
    const Spread& spread = place.spread;
    if (!(node.x * p.x + node.y * p.y > 0.0)) return false;  // on the other side of the beam
    if (!(spread.transverse <= kWidest * kWidest)) return false;
    const double t = s.helix.transverse(p, x), l = s.helix.longitudinal(p, x);
    const double chi2 = t * t / spread.transverse + l * l / spread.longitudinal;
    if (!(chi2 <= cuts_.sigmas * cuts_.sigmas)) return false;
    value = std::sqrt(spread.transverse * spread.longitudinal) * (1.0 + chi2);
    if (!(free_ / (p.x * p.x + p.y * p.y) * value <= cuts_.max_chance)) return false;
    return !one_module(s.helix, node, p);
  }

 private:
  // A place along a segment: the nearer of the segment's hits, and what is expected at the distance from it.
  struct Place {
    Point node;
    Spread spread;
  };

  [[nodiscard]] EXATRKX_BOTH Place expected(const Segment& s, const Point& p, double x) const {
    const bool near_begin = s.near_begin(x);
    const Point& node = points_[near_begin ? s.before : s.after];
    const double farthest = std::sqrt(larger(p.x * p.x + p.y * p.y, node.x * node.x + node.y * node.y));
    return {node, s.helix.spread(larger(near_begin ? x - s.begin : s.end - x, 0.0), farthest, cuts_)};
  }

  // A hit's distance from the beam, and a little more.
  [[nodiscard]] EXATRKX_BOTH double beyond(std::int32_t hit) const {
    const Point& p = points_[hit];
    return std::sqrt(p.x * p.x + p.y * p.y) * (1.0 + 1e-9) + 1e-6;
  }

  // Of what may be an outlier:
  static constexpr double kAcross = 0.5;      // part of a coarse coordinate that may lie across a track, on a disc
  static constexpr double kDisplaced = 0.05;  // mm, of modules from where they are taken to be

  // Of modules:
  static constexpr double kAlongBeam = 1.64;  // stretch of tracks that cross discs, |η| > 1.1
  static constexpr double kFlat = 0.01;       // mm along the beam, of a disc's module
  static constexpr double kThick = 0.3;       // mm along a track in the transverse plane, of a barrel's

  const Point* points_;
  CompletionCuts cuts_;
  double free_;
};

}  // namespace exatrkx::stages
