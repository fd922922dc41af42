// Track completion: complete_tracks of exatrkx/stages/track_building.py says what it does.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <mutex>
#include <numbers>
#include <numeric>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "hit_columns.hpp"
#include "parallel.hpp"
#include "segment_search.hpp"
#include "segments.hpp"

namespace exatrkx::stages {

class TrackCompletion {
 public:
  // features [num_nodes,3], labels [num_nodes] of candidates with their numbers below num_nodes.
  TrackCompletion(const float* features, std::int64_t num_nodes, const std::int64_t* labels, const CompletionCuts& cuts,
                  std::int64_t min_hits, int threads)
      : features_(features), min_hits_(min_hits), threads_(threads), segments_(positions(features, num_nodes), cuts),
        label_(labels, labels + num_nodes) {
    std::int64_t candidates = 0;
    for (const std::int64_t label : label_) candidates = std::max(candidates, label + 1);
    tracks_.resize(static_cast<std::size_t>(candidates));
    for (std::int64_t i = 0; i < num_nodes; ++i) {
      if (label_[i] >= 0) tracks_[label_[i]].push_back(static_cast<std::int32_t>(i));
    }
    for (Track& track : tracks_) sort(track);
  }

  void run() {
    std::vector<std::int32_t> all(tracks_.size());
    std::iota(all.begin(), all.end(), 0);
    for_each(all, [&](std::int32_t track, Matches&) {
      drop_second_hits(tracks_[track]);
      drop_outliers(tracks_[track]);
    });
    complete(all, findable());
    complete(all, dissolve_short_tracks());
  }

  // Numbers the tracks by their smallest hit.
  void write(std::int64_t* labels) const {
    std::vector<std::int64_t> number(tracks_.size(), kNoise);
    std::int64_t next = 0;
    for (std::size_t i = 0; i < label_.size(); ++i) {
      labels[i] = kNoise;
      if (label_[i] < 0) continue;
      if (number[label_[i]] < 0) number[label_[i]] = next++;
      labels[i] = number[label_[i]];
    }
  }

 private:
  static constexpr std::int64_t kNoise = -1;

  static std::vector<Point> positions(const float* features, std::int64_t num_nodes) {
    std::vector<Point> points(static_cast<std::size_t>(num_nodes));
    for (std::size_t i = 0; i < points.size(); ++i) {
      const float* f = features + 3 * i;
      const double r = 1000.0 * static_cast<double>(f[0]), phi = std::numbers::pi * static_cast<double>(f[1]);
      points[i] = {r * std::cos(phi), r * std::sin(phi), 1000.0 * static_cast<double>(f[2])};
    }
    return points;
  }

  struct Match {
    double score;  // the smaller the better
    std::int32_t track, other;
    auto operator<=>(const Match&) const = default;
  };

  struct Matches {
    std::vector<Match> extensions, merges;
  };

  // What visit(track, matches) finds for each of these tracks, on a few threads, in any order.
  template <class Visit>
  Matches for_each(const std::vector<std::int32_t>& tracks, Visit&& visit) {
    Matches all;
    std::mutex mutex;
    const auto count = static_cast<std::int64_t>(tracks.size());
    parallel_for(tasks_for(count, kTaskTracks), threads_, [&](std::int64_t task) {
      Matches found;
      const std::int64_t end = std::min(count, (task + 1) * kTaskTracks);
      for (std::int64_t i = task * kTaskTracks; i < end; ++i) visit(tracks[i], found);
      const std::lock_guard lock(mutex);
      all.extensions.insert(all.extensions.end(), found.extensions.begin(), found.extensions.end());
      all.merges.insert(all.merges.end(), found.merges.begin(), found.merges.end());
    });
    return all;
  }

  void sort(Track& track) const {
    const auto key = [&](std::int32_t i) {
      return std::tuple(features_[3 * i], features_[3 * i + 2], features_[3 * i + 1], i);
    };
    std::sort(track.begin(), track.end(), [&](std::int32_t a, std::int32_t b) { return key(a) < key(b); });
  }

  [[nodiscard]] std::vector<std::int32_t> findable() const {
    std::vector<bool> wanted(label_.size());
    for (std::size_t i = 0; i < label_.size(); ++i) wanted[i] = label_[i] < 0;
    for (const Track& track : tracks_) {
      if (!track.empty()) wanted[track.front()] = wanted[track.back()] = true;
    }
    std::vector<std::int32_t> hits;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (wanted[i]) hits.push_back(static_cast<std::int32_t>(i));
    }
    return hits;
  }

  // Looks around these tracks for these hits, then around those that this changes, until none does.
  void complete(std::vector<std::int32_t> tracks, const std::vector<std::int32_t>& hits) {
    if (hits.empty()) return;
    segments_.set_free(static_cast<double>(std::count(label_.begin(), label_.end(), kNoise)));
    const HitColumns columns(segments_.points(), hits);
    const SegmentSearch search(segments_, columns);
    while (!tracks.empty()) {
      tracks = apply(for_each(tracks, [&](std::int32_t track, Matches& found) { look_around(search, track, found); }));
    }
  }

  // Tracks of fewer than `min_hits` hits are none; returns their hits, in order.
  std::vector<std::int32_t> dissolve_short_tracks() {
    std::vector<std::int32_t> hits;
    for (Track& track : tracks_) {
      if (static_cast<std::int64_t>(track.size()) >= min_hits_) continue;
      hits.insert(hits.end(), track.begin(), track.end());
      track.clear();
    }
    std::sort(hits.begin(), hits.end());
    for (const std::int32_t hit : hits) label_[hit] = kNoise;
    return hits;
  }

  // A particle leaves one hit on a module: of two the one is taken off a track that is farther from the helix of the others.
  void drop_second_hits(Track& track) {
    for (std::size_t i = 0; i + 1 < track.size() && track.size() >= Segments::kFitted;) {
      const TrackWithout others(track, i, 2);
      const auto s = Segments::helical(others) ? segments_.at(others, i) : std::nullopt;
      const auto& points = segments_.points();
      if (!s || !Segments::one_module(s->helix, points[track[i]], points[track[i + 1]])) {
        ++i;
        continue;
      }
      const std::size_t worse = segments_.outlying(*s, track[i]) > segments_.outlying(*s, track[i + 1]) ? i : i + 1;
      label_[track[worse]] = kNoise;
      track.erase(track.begin() + static_cast<std::ptrdiff_t>(worse));
      i = 0;
    }
  }

  // Takes hits off a track that are far from the helix of the others, the farthest first.
  void drop_outliers(Track& track) {
    while (track.size() >= Segments::kFitted && Segments::helical(track)) {
      std::size_t worst = 0;
      double largest = kOutlier * kOutlier;
      for (std::size_t i = 0; i < track.size(); ++i) {
        const double chi2 = segments_.without(track, i);
        if (chi2 > largest) worst = i, largest = chi2;
      }
      if (!(largest > kOutlier * kOutlier)) return;
      label_[track[worst]] = kNoise;
      track.erase(track.begin() + static_cast<std::ptrdiff_t>(worst));
    }
  }

  void look_around(const SegmentSearch& search, std::int32_t number, Matches& found) const {
    const Track& track = tracks_[number];
    if (!Segments::helical(track)) return;
    std::size_t first = track.size();
    std::optional<LocalHelix> helix;
    for (std::size_t place = 0; place <= track.size(); ++place) {
      if (const std::size_t fitted = Segments::first_fitted(track, place); fitted != first) {
        first = fitted;
        helix = segments_.fit(track, first);
      }
      const auto between = helix ? segments_.at(track, place, *helix) : std::nullopt;
      if (!between) continue;
      const Segment& s = *between;
      std::optional<Match> best;
      search.visit(s, [&](std::int32_t hit) {
        if (label_[hit] == number) return;
        const auto value = segments_.score(s, hit);
        if (!value) return;
        if (label_[hit] >= 0) {
          const auto other = static_cast<std::int32_t>(label_[hit]);
          const auto back = score_back(s, hit);
          if (back) found.merges.push_back({*value * *back, std::min(number, other), std::max(number, other)});
        } else if (const Match match{*value, number, hit}; !best || match < *best) {
          best = match;
        }
      });
      if (best) found.extensions.push_back(*best);
    }
  }

  // The same from the other side: how well the nearest hit of the segment's track fits the one whose end was found.
  // Two tracks that run side by side are no pieces of one: all of the other must be within the segment.
  [[nodiscard]] std::optional<double> score_back(const Segment& s, std::int32_t end) const {
    const Track& other = tracks_[label_[end]];
    if (!Segments::helical(other) || (end != other.front() && end != other.back())) return std::nullopt;
    const double far = s.helix.along(segments_.points()[end == other.front() ? other.back() : other.front()]);
    if (s.before >= 0 && !(far >= s.begin - kOverlap)) return std::nullopt;
    if (s.after >= 0 && !(far <= s.end + kOverlap)) return std::nullopt;
    const auto theirs = segments_.at(other, end == other.front() ? 0 : other.size());
    if (!theirs) return std::nullopt;
    return segments_.score(*theirs, s.near_begin(s.helix.along(segments_.points()[end])) ? s.before : s.after);
  }

  // The best merges and extensions, and the tracks that they change.
  std::vector<std::int32_t> apply(Matches found) {
    std::vector<bool> merged(tracks_.size()), changed(tracks_.size());
    std::sort(found.merges.begin(), found.merges.end());
    for (const Match& m : found.merges) {
      if (merged[m.track] || merged[m.other]) continue;
      merged[m.track] = merged[m.other] = changed[m.track] = true;
      for (const std::int32_t hit : tracks_[m.other]) {
        label_[hit] = m.track;
        tracks_[m.track].push_back(hit);
      }
      tracks_[m.other].clear();
    }
    std::sort(found.extensions.begin(), found.extensions.end());
    for (const Match& m : found.extensions) {
      if (merged[m.track] || label_[m.other] >= 0) continue;
      label_[m.other] = m.track;
      tracks_[m.track].push_back(m.other);
      changed[m.track] = true;
    }
    std::vector<std::int32_t> again;
    for (std::size_t track = 0; track < tracks_.size(); ++track) {
      if (!changed[track]) continue;
      sort(tracks_[track]);
      again.push_back(static_cast<std::int32_t>(track));
    }
    return again;
  }

  static constexpr std::int64_t kTaskTracks = 8;  // so few that the last rounds, of some hundred, keep many threads busy
  static constexpr double kOverlap = 15.0;   // mm, of modules
  static constexpr double kOutlier = 8.0;    // standard deviations

  const float* features_;
  std::int64_t min_hits_;
  int threads_;
  Segments segments_;
  std::vector<std::int64_t> label_;
  std::vector<Track> tracks_;
};

// Completes the tracks of `labels` [num_nodes], in place; those with fewer than `min_hits` hits are none.
inline void complete_tracks(const float* features, std::int64_t num_nodes, const CompletionCuts& cuts,
                            std::int64_t min_hits, int threads, std::int64_t* labels) {
  TrackCompletion completion(features, num_nodes, labels, cuts, min_hits, threads);
  completion.run();
  completion.write(labels);
}

}  // namespace exatrkx::stages
