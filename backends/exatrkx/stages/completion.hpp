// Track completion: complete_tracks of exatrkx/stages/track_building.py says what it does.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <numeric>
#include <tuple>
#include <utility>
#include <vector>

#include "completion_search.hpp"
#include "findable_hits.hpp"
#include "parallel.hpp"
#include "threaded_search.hpp"

namespace exatrkx::stages {

class TrackCompletion {
 public:
  // features [num_nodes,3], labels [num_nodes] of candidates with their numbers below num_nodes.
  TrackCompletion(const float* features, std::int64_t num_nodes, const std::int64_t* labels, const CompletionCuts& cuts,
                  std::int64_t min_hits, int threads)
      : features_(features), min_hits_(min_hits), threads_(threads) {
    state_.cuts = cuts;
    state_.points.resize(static_cast<std::size_t>(num_nodes));
    for_each_of(num_nodes, kTaskHits, [&](std::int64_t i) { state_.points[i] = position(features + 3 * i); });
    state_.label.assign(labels, labels + num_nodes);
    std::vector<std::size_t> hits;
    for (const std::int32_t label : state_.label) {
      if (label < 0) continue;
      hits.resize(std::max(hits.size(), static_cast<std::size_t>(label) + 1));
      ++hits[label];
    }
    const std::size_t candidates = hits.size();
    state_.tracks.resize(candidates);
    for (std::size_t i = 0; i < candidates; ++i) state_.tracks[i].reserve(hits[i]);
    for (std::int64_t i = 0; i < num_nodes; ++i) {
      if (state_.label[i] >= 0) state_.tracks[state_.label[i]].push_back(static_cast<std::int32_t>(i));
    }
    for_each_of(static_cast<std::int64_t>(candidates), kTaskTracks, [&](std::int64_t i) { sort(state_.tracks[i]); });
  }

  [[nodiscard]] const CompletionState& state() const { return state_; }

  void run(CompletionSearch& search) {
    drop_wrong_hits(search);
    std::vector<std::int32_t> all(state_.tracks.size());
    std::iota(all.begin(), all.end(), 0);
    complete(search, all, findable());
    complete(search, all, dissolve_short_tracks());
  }

  // Numbers the tracks by their smallest hit.
  void write(std::int64_t* labels) const {
    std::vector<std::int64_t> number(state_.tracks.size(), kNoise);
    std::int64_t next = 0;
    for (std::size_t i = 0; i < state_.label.size(); ++i) {
      const std::int32_t label = state_.label[i];
      labels[i] = kNoise;
      if (label < 0) continue;
      if (number[label] < 0) number[label] = next++;
      labels[i] = number[label];
    }
  }

 private:
  static constexpr std::int32_t kNoise = -1;
  static constexpr std::int64_t kTaskHits = 8192, kTaskTracks = 2048;  // less is not worth a thread

  // each(i) for all i < count, by the threads, where there is work for some.
  template <class Each>
  void for_each_of(std::int64_t count, std::int64_t at_once, Each&& each) const {
    parallel_for(tasks_for(count, at_once), threads_, [&](std::int64_t task) {
      const std::int64_t end = std::min(count, (task + 1) * at_once);
      for (std::int64_t i = task * at_once; i < end; ++i) each(i);
    });
  }

  static Point position(const float* f) {
    const double r = 1000.0 * static_cast<double>(f[0]), phi = std::numbers::pi * static_cast<double>(f[1]);
    return {r * std::cos(phi), r * std::sin(phi), 1000.0 * static_cast<double>(f[2])};
  }

  void sort(Track& track) const {
    const auto key = [&](std::int32_t i) {
      return std::tuple(features_[3 * i], features_[3 * i + 2], features_[3 * i + 1], i);
    };
    std::sort(track.begin(), track.end(), [&](std::int32_t a, std::int32_t b) { return key(a) < key(b); });
  }

  void drop_wrong_hits(CompletionSearch& search) {
    const std::vector<std::int32_t> right = search.drop_wrong_hits(state_.tracks);
    for (std::size_t i = 0; i < right.size(); ++i) {
      Track& track = state_.tracks[i];
      for (auto hit = track.begin() + right[i]; hit != track.end(); ++hit) state_.label[*hit] = kNoise;
      track.resize(static_cast<std::size_t>(right[i]));
    }
  }

  [[nodiscard]] std::vector<std::int32_t> findable() const {
    std::vector<char> wanted(state_.label.size());
    for (std::size_t i = 0; i < wanted.size(); ++i) wanted[i] = state_.label[i] < 0;
    for (const Track& track : state_.tracks) {
      if (!track.empty()) wanted[track.front()] = wanted[track.back()] = 1;
    }
    std::vector<std::int32_t> hits(wanted.size());
    std::size_t count = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      hits[count] = static_cast<std::int32_t>(i);
      count += static_cast<std::size_t>(wanted[i]);
    }
    hits.resize(count);
    return hits;
  }

  // Looks around these tracks for these hits, then around those that this changes, until none does.
  void complete(CompletionSearch& search, std::vector<std::int32_t> tracks, const std::vector<std::int32_t>& hits) {
    if (hits.empty()) return;
    const FindableHits findable(state_.points, hits, threads_);
    search.look_for(findable, static_cast<double>(std::count(state_.label.begin(), state_.label.end(), kNoise)));
    while (!tracks.empty()) {
      const CompletionRound round(std::move(tracks), state_.tracks);
      tracks = apply(search.look_around(round), round.places());
    }
  }

  // Tracks of fewer than `min_hits` hits are none; returns their hits, in order.
  std::vector<std::int32_t> dissolve_short_tracks() {
    std::vector<std::int32_t> hits;
    for (Track& track : state_.tracks) {
      if (static_cast<std::int64_t>(track.size()) >= min_hits_) continue;
      hits.insert(hits.end(), track.begin(), track.end());
      track.clear();
    }
    std::sort(hits.begin(), hits.end());
    for (const std::int32_t hit : hits) state_.label[hit] = kNoise;
    return hits;
  }

  // The best merges and extensions, of each segment the best one alone; returns the tracks that they change.
  std::vector<std::int32_t> apply(std::vector<Match> found, std::int32_t places) {
    auto& [points, label, tracks, cuts] = state_;
    std::vector<bool> merged(tracks.size()), changed(tracks.size()), used(static_cast<std::size_t>(places));
    const auto merges_end =
        std::partition(found.begin(), found.end(), [](const Match& m) { return m.place == Match::kMerge; });
    const auto key = [](const Match& m) { return std::tuple(m.score, m.track, m.other); };
    const auto better = [&](const Match& a, const Match& b) { return key(a) < key(b); };
    std::sort(found.begin(), merges_end, better);
    for (auto m = found.begin(); m != merges_end; ++m) {
      if (merged[m->track] || merged[m->other]) continue;
      merged[m->track] = merged[m->other] = changed[m->track] = true;
      for (const std::int32_t hit : tracks[m->other]) {
        label[hit] = m->track;
        tracks[m->track].push_back(hit);
      }
      tracks[m->other].clear();
    }
    std::sort(merges_end, found.end(), better);
    for (auto m = merges_end; m != found.end(); ++m) {
      const bool is_best = !used[m->place];
      used[m->place] = true;
      if (!is_best || merged[m->track] || label[m->other] >= 0) continue;
      label[m->other] = m->track;
      tracks[m->track].push_back(m->other);
      changed[m->track] = true;
    }
    std::vector<std::int32_t> again;
    for (std::size_t track = 0; track < tracks.size(); ++track) {
      if (changed[track]) again.push_back(static_cast<std::int32_t>(track));
    }
    for_each_of(static_cast<std::int64_t>(again.size()), kTaskTracks, [&](std::int64_t i) { sort(tracks[again[i]]); });
    return again;
  }

  const float* features_;
  std::int64_t min_hits_;
  int threads_;
  CompletionState state_;
};

// Completes the tracks of `labels` [num_nodes], in place; those with fewer than `min_hits` hits are none.
inline void complete_tracks(const float* features, std::int64_t num_nodes, const CompletionCuts& cuts,
                            std::int64_t min_hits, int threads, std::int64_t* labels) {
  TrackCompletion completion(features, num_nodes, labels, cuts, min_hits, threads);
  ThreadedSearch search(completion.state(), threads);
  completion.run(search);
  completion.write(labels);
}

}  // namespace exatrkx::stages
