// Track completion: complete_tracks of exatrkx/stages/track_building.py says what it does; here hits are looked up in columns of the
// transverse plane, in the order of z, along each candidate's helix.
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
#include "segments.hpp"

namespace exatrkx::stages {

class TrackCompletion {
 public:
  // features [num_nodes,3], labels [num_nodes] of candidates with their numbers below num_nodes.
  TrackCompletion(const float* features, std::int64_t num_nodes, const std::int64_t* labels, const CompletionCuts& cuts,
                  int threads)
      : features_(features), threads_(threads), segments_(positions(features, num_nodes), cuts),
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
    std::vector<std::int32_t> changed(tracks_.size());
    std::iota(changed.begin(), changed.end(), 0);
    for_each(changed, [&](std::int32_t track, Matches&) { drop_outliers(tracks_[track]); });
    segments_.set_free(static_cast<double>(std::count(label_.begin(), label_.end(), kNoise)));
    const HitColumns columns(segments_.points(), findable());
    while (!changed.empty()) {
      changed = apply(for_each(changed, [&](std::int32_t track, Matches& found) { look_around(columns, track, found); }));
    }
  }

  // Numbers the tracks of at least `min_hits` hits by their smallest one.
  void write(std::int64_t min_hits, std::int64_t* labels) const {
    std::vector<std::int64_t> number(tracks_.size(), kNoise);
    std::int64_t next = 0;
    for (std::size_t i = 0; i < label_.size(); ++i) {
      labels[i] = kNoise;
      if (label_[i] < 0 || static_cast<std::int64_t>(tracks_[label_[i]].size()) < min_hits) continue;
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

  void look_around(const HitColumns& columns, std::int32_t number, Matches& found) const {
    const Track& track = tracks_[number];
    if (!Segments::helical(track)) return;
    for (std::size_t place = 0; place <= track.size(); ++place) {
      const auto between = segments_.at(track, place);
      if (!between) continue;
      const Segment& s = *between;
      std::optional<Match> best;
      visit(columns, s, [&](std::int32_t hit) {
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

  // Calls visit_hit(hit) for at least the hits that fit a segment: it is looked through in steps, longer ones further away.
  template <class Visit>
  void visit(const HitColumns& columns, const Segment& s, Visit&& visit_hit) const {
    const double length = s.end - s.begin;
    for (double near = 0.0, far = 0.0; near < length; near = far) {
      far = std::min(length, near + std::clamp(near, kFirstStep, columns.width()));
      if (s.before < 0) {
        visit_step(columns, s, {s.end - far, s.end - near, near, far}, visit_hit);
      } else {
        const double distance = s.after < 0 ? far : std::min(far, length / 2.0);
        visit_step(columns, s, {s.begin + near, s.begin + far, s.after < 0 ? near : 0.0, distance}, visit_hit);
      }
    }
  }

  struct Step {
    double low, high;   // places along the helix
    double near, far;   // the least and the largest distance from a node
  };

  template <class Visit>
  void visit_step(const HitColumns& columns, const Segment& s, const Step& step, Visit&& visit_hit) const {
    const LocalHelix& h = s.helix;
    const CompletionCuts& cuts = segments_.cuts();
    const double middle = (step.low + step.high) / 2.0, half = (step.high - step.low) / 2.0;
    const Point centre = h.at(middle, h.across(middle));
    const double margin = 1e-6 + 1e-9 * (std::abs(centre.x) + std::abs(centre.y) + std::abs(centre.z));
    const double from = h.slope(step.low), to = h.slope(step.high);
    if (std::min(from, to) > Segments::kSteepest || std::max(from, to) < -Segments::kSteepest) return;
    // A hit is within its slope's tilt of the parabola, and that within the slopes on the way of its value in the middle.
    const double slopes = std::max(std::abs(from), std::abs(to)), steep = std::min(Segments::kSteepest, slopes);
    const double tilt = std::sqrt(1.0 + steep * steep), r = std::sqrt(centre.x * centre.x + centre.y * centre.y);
    const double widest = half * (1.0 + slopes) + cuts.sigmas * Segments::kWidest * tilt;
    const Spread least = h.spread(step.near, 0.0, cuts), most = h.spread(step.far, std::max(r + widest, s.farthest), cuts);
    if (least.transverse > Segments::kWidest * Segments::kWidest * (1.0 + 1e-6)) return;
    const double sideways = std::sqrt(std::min(most.transverse, Segments::kWidest * Segments::kWidest)) * tilt;
    // Neither inside the innermost hit, nor beyond the outermost, nor where any hit may be there by chance.
    const double radius = half * (1.0 + slopes) + cuts.sigmas * sideways + margin;
    if (r + radius < columns.innermost() || r - radius > columns.outermost()) return;
    const double largest = cuts.max_chance * (1.0 + 1e-6) * (r + radius) * (r + radius);
    const double chi2 = largest / (segments_.free() * std::sqrt(least.transverse * least.longitudinal)) - 1.0;
    if (chi2 < 0.0) return;
    const double wide = std::min(cuts.sigmas, std::sqrt(chi2)) * (1.0 + 1e-6) + 1e-6;  // with room for what is rounded
    const double aside = wide * sideways + margin, across = aside + half * slopes;
    const double up = wide * std::sqrt(most.longitudinal) * h.stretch() + margin;
    const double bx = half * std::abs(h.ux()) + across * std::abs(h.uy());
    const double by = half * std::abs(h.uy()) + across * std::abs(h.ux());
    const double za = h.z(step.low), zb = h.z(step.high);
    columns.within({centre.x - bx, centre.y - by, std::min(za, zb) - up},
                   {centre.x + bx, centre.y + by, std::max(za, zb) + up},
                   [&](std::int32_t hit, const Point& p) {
                     const double x = h.along(p);
                     if (std::abs(h.sideways(p) - h.across(x)) > aside || std::abs(p.z - h.z(x)) > up) return;
                     visit_hit(hit);
                   });
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

  static constexpr std::int64_t kTaskTracks = 64;
  static constexpr double kFirstStep = 6.0;  // mm
  static constexpr double kOverlap = 15.0;   // mm, of modules
  static constexpr double kOutlier = 8.0;    // standard deviations

  const float* features_;
  int threads_;
  Segments segments_;
  std::vector<std::int64_t> label_;
  std::vector<Track> tracks_;
};

// Completes the tracks of `labels` [num_nodes], in place; those with fewer than `min_hits` hits are dropped then.
inline void complete_tracks(const float* features, std::int64_t num_nodes, const CompletionCuts& cuts,
                            std::int64_t min_hits, int threads, std::int64_t* labels) {
  TrackCompletion completion(features, num_nodes, labels, cuts, threads);
  completion.run();
  completion.write(min_hits, labels);
}

}  // namespace exatrkx::stages
