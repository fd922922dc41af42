// Completion search: what is looked up for each track of an event, by the host's threads or by a GPU.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "findable_hits.hpp"
#include "local_helix.hpp"
#include "segments.hpp"
#include "surroundings.hpp"

namespace exatrkx::stages {

using Track = std::vector<std::int32_t>;  // its hits, from the beam outwards

// The tracks of an event that is being completed.
struct CompletionState {
  std::vector<Point> points;
  std::vector<std::int32_t> label;  // of each hit: its track's place in `tracks`, or -1
  std::vector<Track> tracks;
  CompletionCuts cuts;
};

// Tracks that are looked around at once, and a number for each of their places.
struct CompletionRound {
  std::vector<std::int32_t> tracks;
  std::vector<std::int32_t> first_place;  // of each track, and how many there are in all

  CompletionRound(std::vector<std::int32_t> numbers, const std::vector<Track>& all) : tracks(std::move(numbers)) {
    first_place.assign(1, 0);
    for (const std::int32_t track : tracks) {
      const auto hits = static_cast<std::int32_t>(all[track].size());
      first_place.push_back(first_place.back() + (Segments::helical(hits) ? hits + 1 : 0));
    }
  }
  [[nodiscard]] std::int32_t places() const { return first_place.back(); }
};

// Every answer is that of ThreadedSearch, but for the order.
class CompletionSearch {
 public:
  CompletionSearch() = default;
  virtual ~CompletionSearch() = default;
  CompletionSearch(const CompletionSearch&) = delete;
  CompletionSearch& operator=(const CompletionSearch&) = delete;

  // Moves the wrong hits of each track behind the others; returns how many of each are right.
  virtual std::vector<std::int32_t> drop_wrong_hits(std::vector<Track>& tracks) = 0;
  // From now on these hits are looked for, of so many that are on no track. They outlive the search for them.
  virtual void look_for(const FindableHits& hits, double free) = 0;
  // Of a segment's hits at least the best one. Of the state no more has changed since the last time, or since
  // look_for, than that the round's tracks have other hits.
  virtual std::vector<Match> look_around(const CompletionRound& round) = 0;
};

}  // namespace exatrkx::stages
