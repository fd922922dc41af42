// Track completion's kernels. What they do is in functions for the host, too, which need standard headers: so they are
// no files of stages/cuda, which NVRTC compiles without any.
#pragma once

#include "../../stages/surroundings.hpp"
#include "../../stages/track_view.hpp"
#include "../../stages/wrong_hits.hpp"
#include "completion_lists.hpp"

namespace kernels {

extern "C" __global__ void drop_wrong_hits(exatrkx::stages::WrongHits wrong, int tracks, const int* first_hit, int* hits,
                                           int* right);
extern "C" __global__ void update_tracks(exatrkx::gpu::TrackList list, exatrkx::stages::TrackView* tracks, int* label,
                                         unsigned long long* found);
extern "C" __global__ void look_around(exatrkx::stages::Surroundings around, exatrkx::gpu::TrackList list, int lanes,
                                       exatrkx::gpu::MatchList found);

}  // namespace kernels
