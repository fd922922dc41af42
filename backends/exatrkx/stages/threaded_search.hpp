// Completion search on a few threads of the host.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

#include "completion_search.hpp"
#include "parallel.hpp"
#include "surroundings.hpp"
#include "wrong_hits.hpp"

namespace exatrkx::stages {

class ThreadedSearch : public CompletionSearch {
 public:
  ThreadedSearch(const CompletionState& state, int threads) : state_(state), threads_(threads) {}

  std::vector<std::int32_t> drop_wrong_hits(std::vector<Track>& tracks) override {
    const WrongHits wrong(Segments(state_.points.data(), state_.cuts, 0.0));
    std::vector<std::int32_t> right(tracks.size());
    for_each_task(tracks.size(), [&](std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i) {
        right[i] = wrong.drop(tracks[i].data(), static_cast<std::int32_t>(tracks[i].size()));
      }
    });
    return right;
  }

  void look_for(const FindableHits& hits, double free) override {
    views_.resize(state_.tracks.size());
    for (std::size_t i = 0; i < views_.size(); ++i) view(i);
    const Segments segments(state_.points.data(), state_.cuts, free);
    around_.emplace(SegmentSearch(segments, hits.columns(), hits.places()), state_.label.data(), views_.data());
  }

  std::vector<Match> look_around(const CompletionRound& round) override {
    for (const std::int32_t track : round.tracks) view(track);
    std::vector<Match> all;
    std::mutex mutex;
    for_each_task(round.tracks.size(), [&](std::size_t begin, std::size_t end) {
      std::vector<Match> found;
      for (std::size_t i = begin; i < end; ++i) look_around(round.tracks[i], round.first_place[i], found);
      const std::lock_guard lock(mutex);
      all.insert(all.end(), found.begin(), found.end());
    });
    return all;
  }

 private:
  static constexpr std::size_t kTaskTracks = 8;  // so few that the last rounds, of some hundred, keep many threads busy

  template <class Work>
  void for_each_task(std::size_t tracks, Work&& work) const {
    parallel_for(tasks_for(static_cast<std::int64_t>(tracks), kTaskTracks), threads_, [&](std::int64_t task) {
      const std::size_t begin = static_cast<std::size_t>(task) * kTaskTracks;
      work(begin, std::min(tracks, begin + kTaskTracks));
    });
  }

  void view(std::size_t number) {
    const Track& track = state_.tracks[number];
    views_[number] = {track.data(), static_cast<std::int32_t>(track.size())};
  }

  void look_around(std::int32_t number, std::int32_t first_place, std::vector<Match>& found) const {
    const TrackView& track = around_->track(number);
    if (!Segments::helical(track.size())) return;
    const Segments& segments = around_->segments();
    std::int32_t first = -1;
    LocalHelix helix;
    bool fits = false;
    for (std::int32_t place = 0; place <= track.size(); ++place) {
      if (const std::int32_t fitted = Segments::first_fitted(track.size(), place); fitted != first) {
        first = fitted;
        fits = segments.fit(track, first, helix);
      }
      Segment s;
      if (!fits || !segments.at(track, place, helix, s)) continue;
      around_->look(s, number, first_place + place, Lane{}, [&](const Match& match) { found.push_back(match); });
    }
  }

  const CompletionState& state_;
  int threads_;
  std::vector<TrackView> views_;
  std::optional<Surroundings> around_;
};

}  // namespace exatrkx::stages
