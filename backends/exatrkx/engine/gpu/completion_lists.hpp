// What track completion's kernels are given, and what they find.
#pragma once

#include "../../stages/surroundings.hpp"

namespace exatrkx::gpu {

// Tracks that are looked at at once: the hits of each follow one another in `hits`.
struct TrackList {
  const int* track;        // [count] numbers among all tracks of the event
  const int* first_hit;    // [count + 1]
  const int* first_place;  // [count + 1] numbers of their segments
  const int* hits;
  int count;
};

// Where matches go, in any order.
struct MatchList {
  unsigned long long* found;  // how many there are, also those that had no room
  stages::Match* matches;     // [room]
  long long room;
};

}  // namespace exatrkx::gpu
