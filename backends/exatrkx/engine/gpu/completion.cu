// Track completion on a GPU: what is looked up for each track. To be compiled with -fmad=false: every number is that of
// the host, bit by bit, whose functions these are.
#include "completion.cuh"

namespace kernels {

#include "../../stages/cuda/threads.cuh"

using exatrkx::gpu::MatchList;
using exatrkx::gpu::TrackList;
using exatrkx::stages::Match;
using exatrkx::stages::Segment;
using exatrkx::stages::Surroundings;
using exatrkx::stages::TrackView;
using exatrkx::stages::WrongHits;

// The last of `count` ranges that begins at `item` or before it. Some may be empty.
__device__ inline int range_of(const int* begin, int count, int item) {
  return exatrkx::stages::partition_point(0, count, [&](int range) { return begin[range + 1] <= item; });
}

// A thread for each track: moves its wrong hits behind the others, of which there are right[track].
extern "C" __global__ void drop_wrong_hits(WrongHits wrong, int tracks, const int* first_hit, int* hits, int* right) {
  const long long t = global_thread();
  if (t >= tracks) return;
  right[t] = wrong.drop(hits + first_hit[t], first_hit[t + 1] - first_hit[t]);
}

// A thread for each hit, and one at least: these tracks have these hits from now on, and nothing has been found.
extern "C" __global__ void update_tracks(TrackList list, TrackView* tracks, int* label, unsigned long long* found) {
  const long long thread = global_thread();
  if (thread == 0) *found = 0;
  if (thread >= list.first_hit[list.count]) return;
  const int hit = static_cast<int>(thread), t = range_of(list.first_hit, list.count, hit), track = list.track[t];
  label[list.hits[hit]] = track;
  if (hit == list.first_hit[t]) tracks[track] = {list.hits + hit, list.first_hit[t + 1] - hit};
}

// So many threads for each place of each track: what fits the segment there.
extern "C" __global__ void look_around(Surroundings around, TrackList list, int lanes, MatchList found) {
  const long long thread = global_thread();
  const int lane = static_cast<int>(thread % lanes);
  if (thread / lanes >= list.first_place[list.count]) return;
  const int place = static_cast<int>(thread / lanes), t = range_of(list.first_place, list.count, place);
  const TrackView track{list.hits + list.first_hit[t], list.first_hit[t + 1] - list.first_hit[t]};
  Segment segment;
  if (!around.segments().at(track, place - list.first_place[t], segment)) return;
  around.look(segment, list.track[t], place, {lane, lanes}, [&](const Match& match) {
    const auto at = static_cast<long long>(atomicAdd(found.found, 1ULL));
    if (at < found.room) found.matches[at] = match;
  });
}

}  // namespace kernels
