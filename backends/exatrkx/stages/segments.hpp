// Segments of tracks: local helices on which further hits are looked for, and how well a hit fits one. In the order of
// exatrkx/stages/reference_completion.py, so that both give the same bits.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "local_helix.hpp"

namespace exatrkx::stages {

using Track = std::vector<std::int32_t>;  // its hits, from the beam outwards

// A track as it would be without some of its hits that follow one another.
class TrackWithout {
 public:
  TrackWithout(const Track& track, std::size_t first, std::size_t count) : track_(track), first_(first), count_(count) {}
  [[nodiscard]] std::size_t size() const { return track_.size() - count_; }
  [[nodiscard]] std::int32_t operator[](std::size_t i) const { return track_[i < first_ ? i : i + count_]; }

 private:
  const Track& track_;
  std::size_t first_, count_;
};

// A part of a track: between two of its hits, or from its first or last one on.
struct Segment {
  LocalHelix helix;
  std::int32_t before, after;  // hits, -1 for none
  double begin, end;           // their places along the helix, or as far as it reaches
  double farthest;             // of them from the beam

  // Whether a place along it is nearer to the hit before it.
  [[nodiscard]] bool near_begin(double x) const { return after < 0 || (before >= 0 && x - begin <= end - x); }
};

class Segments {
 public:
  static constexpr std::size_t kFitted = 5;      // hits of a local helix
  static constexpr std::size_t kMostHits = 100;  // of a track that is completed
  static constexpr double kSteepest = 1.0;       // slope of the helix to its chord
  static constexpr double kWidest = 10.0;        // mm, standard deviation: more says nothing

  Segments(std::vector<Point> points, const CompletionCuts& cuts) : points_(std::move(points)), cuts_(cuts) {}

  [[nodiscard]] const std::vector<Point>& points() const { return points_; }
  [[nodiscard]] const CompletionCuts& cuts() const { return cuts_; }
  [[nodiscard]] double free() const { return free_; }
  void set_free(double hits) { free_ = hits; }

  template <class Hits>
  [[nodiscard]] static bool helical(const Hits& track) { return track.size() >= 3 && track.size() <= kMostHits; }

  // `place`: that of the hit after the segment, 0 … size.
  template <class Hits>
  [[nodiscard]] std::optional<Segment> at(const Hits& track, std::size_t place) const {
    const auto helix = fit(track, first_fitted(track, place));
    return helix ? at(track, place, *helix) : std::nullopt;
  }

  // The first of the hits that the helix at this place goes through: several places have one helix.
  template <class Hits>
  [[nodiscard]] static std::size_t first_fitted(const Hits& track, std::size_t place) {
    return std::min(place - std::min(place, kFitted / 2), track.size() - std::min(track.size(), kFitted));
  }

  template <class Hits>
  [[nodiscard]] std::optional<LocalHelix> fit(const Hits& track, std::size_t first) const {
    const std::size_t fitted = std::min(track.size(), kFitted);
    std::array<Point, kFitted> hits;
    for (std::size_t i = 0; i < fitted; ++i) hits[i] = points_[track[first + i]];
    return LocalHelix::fit({hits.data(), fitted});
  }

  template <class Hits>
  [[nodiscard]] std::optional<Segment> at(const Hits& track, std::size_t place, const LocalHelix& helix) const {
    const double reach = cuts_.reach / helix.stretch();
    Segment s{helix, place == 0 ? -1 : track[place - 1], place == track.size() ? -1 : track[place], 0.0, 0.0, 0.0};
    for (const std::int32_t node : {s.before, s.after}) {
      if (node >= 0) s.farthest = std::max(s.farthest, std::hypot(points_[node].x, points_[node].y) + 1e-6);
    }
    s.begin = s.before >= 0 ? helix.along(points_[s.before]) : helix.along(points_[s.after]) - reach;
    s.end = s.after >= 0 ? helix.along(points_[s.after]) : s.begin + reach;
    if (!(s.end - s.begin <= 2.0 * reach)) return std::nullopt;
    return s;
  }

  // χ² of a track's hit on the helix of the others; 0 where they make none.
  [[nodiscard]] double without(const Track& track, std::size_t place) const {
    const auto s = at(TrackWithout(track, place, 1), place);
    return s ? outlying(*s, track[place]) : 0.0;
  }

  // χ² of a hit on a segment, where it may lie a little off it.
  [[nodiscard]] double outlying(const Segment& s, std::int32_t hit) const {
    const Point& p = points_[hit];
    const double x = s.helix.along(p), t = s.helix.transverse(p, x), l = s.helix.longitudinal(p, x);
    const Spread spread = expected(s, p, x).spread;
    const double across = kAcross * spread.strip, moved = kDisplaced * kDisplaced;
    return t * t / (spread.transverse + across * across + moved) + l * l / (spread.longitudinal + moved);
  }

  // Whether two hits near a helix may be on one module: on a disc where it runs along the beam, on a barrel else.
  [[nodiscard]] static bool one_module(const LocalHelix& helix, const Point& a, const Point& b) {
    if (helix.stretch() > kAlongBeam) return std::abs(a.z - b.z) < kFlat;
    return std::abs(helix.along(a) - helix.along(b)) < kThick;
  }

  // How well a hit fits, the smaller the better; none where it does not.
  [[nodiscard]] std::optional<double> score(const Segment& s, std::int32_t hit) const {
    const Point& p = points_[hit];
    const double x = s.helix.along(p);
    if (!(x >= s.begin && x <= s.end) || !(std::abs(s.helix.slope(x)) <= kSteepest)) return std::nullopt;
    const auto [node, spread] = expected(s, p, x);
    if (!(node.x * p.x + node.y * p.y > 0.0)) return std::nullopt;  // on the other side of the beam
    if (!(spread.transverse <= kWidest * kWidest)) return std::nullopt;
    const double t = s.helix.transverse(p, x), l = s.helix.longitudinal(p, x);
    const double chi2 = t * t / spread.transverse + l * l / spread.longitudinal;
    if (!(chi2 <= cuts_.sigmas * cuts_.sigmas)) return std::nullopt;
    const double area = std::sqrt(spread.transverse * spread.longitudinal) * (1.0 + chi2);
    if (!(free_ / (p.x * p.x + p.y * p.y) * area <= cuts_.max_chance)) return std::nullopt;
    if (one_module(s.helix, node, p)) return std::nullopt;
    return area;
  }

 private:
  // A place along a segment: the nearer of the segment's hits, and what is expected at the distance from it.
  struct Place {
    Point node;
    Spread spread;
  };

  [[nodiscard]] Place expected(const Segment& s, const Point& p, double x) const {
    const bool near_begin = s.near_begin(x);
    const Point& node = points_[near_begin ? s.before : s.after];
    const double farthest = std::sqrt(std::max(p.x * p.x + p.y * p.y, node.x * node.x + node.y * node.y));
    return {node, s.helix.spread(std::max(near_begin ? x - s.begin : s.end - x, 0.0), farthest, cuts_)};
  }

  // Of what may be an outlier:
  static constexpr double kAcross = 0.5;      // part of a coarse coordinate that may lie across a track, on a disc
  static constexpr double kDisplaced = 0.05;  // mm, of modules from where they are taken to be

  // Of modules:
  static constexpr double kAlongBeam = 1.64;  // stretch of tracks that cross discs, |η| > 1.1
  static constexpr double kFlat = 0.01;       // mm along the beam, of a disc's module
  static constexpr double kThick = 0.3;       // mm along a track in the transverse plane, of a barrel's

  std::vector<Point> points_;
  CompletionCuts cuts_;
  double free_ = 0.0;  // hits on no track
};

}  // namespace exatrkx::stages
