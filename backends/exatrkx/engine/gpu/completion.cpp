// Track completion on a GPU: the host decides what is taken, and the kernels look it up, for all tracks of a round at once.
//
// A round is one upload, two kernels and one answer that is waited for; at pile-up 200 there are some twenty.
#include "../../stages/completion.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <vector>

#include "completion_lists.hpp"
#include "graph.hpp"
#include "kernels.hpp"
#include "transfer.hpp"

namespace exatrkx::gpu {

namespace {

using stages::CompletionRound;
using stages::CompletionState;
using stages::FindableHits;
using stages::HitColumns;
using stages::HitPlaces;
using stages::Match;
using stages::Point;
using stages::SegmentSearch;
using stages::Segments;
using stages::Surroundings;
using stages::Track;
using stages::TrackView;
using stages::WrongHits;

constexpr Kernel<KernelName::drop_wrong_hits, WrongHits, int, const int*, int*, int*> drop_wrong_hits_kernel;
constexpr Kernel<KernelName::update_tracks, TrackList, TrackView*, int*, unsigned long long*> update_tracks_kernel;
constexpr Kernel<KernelName::look_around, Surroundings, TrackList, int, MatchList> look_around_kernel;

// Hits of these tracks one after the other, and where those of each begin.
struct HitLists {
  std::vector<int> first_hit, hits;

  HitLists(const std::vector<std::int32_t>& numbers, const std::vector<Track>& tracks) : first_hit(numbers.size() + 1) {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      first_hit[i + 1] = first_hit[i] + static_cast<int>(tracks[numbers[i]].size());
    }
    hits.resize(static_cast<std::size_t>(first_hit.back()));
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      const Track& track = tracks[numbers[i]];
      std::copy(track.begin(), track.end(), hits.begin() + first_hit[i]);
    }
  }
};

class KernelSearch : public stages::CompletionSearch {
 public:
  KernelSearch(const CompletionState& state, const at::Tensor& labels)
      : state_(state), device_(labels.device()), stream_(current_stream(labels)) {
    Upload upload;
    upload.add(state.points);
    points_ = upload.send(device_);
  }

  std::vector<std::int32_t> drop_wrong_hits(std::vector<Track>& tracks) override {
    std::vector<std::int32_t> all(tracks.size()), right(tracks.size());
    std::iota(all.begin(), all.end(), 0);
    const HitLists lists(all, tracks);
    Upload upload;
    const std::size_t right_at = upload.add(right), hits_at = upload.add(lists.hits);
    const std::size_t size = hits_at + lists.hits.size() * sizeof(int), first_at = upload.add(lists.first_hit);
    const at::Tensor sent = upload.send(device_);
    drop_wrong_hits_kernel(blocks_for(static_cast<std::int64_t>(tracks.size()), kTrackThreads), stream_,
                           WrongHits(segments(0.0)), tracks.size(),
                           static_cast<const int*>(entries_at<int>(sent, first_at)), entries_at<int>(sent, hits_at),
                           entries_at<int>(sent, right_at));
    const at::Tensor answer = download(sent, size);
    std::copy_n(entries_at<std::int32_t>(answer, right_at), right.size(), right.begin());
    const auto* hits = entries_at<std::int32_t>(answer, hits_at);
    for (Track& track : tracks) {
      std::copy_n(hits, track.size(), track.begin());
      hits += track.size();
    }
    return right;
  }

  void look_for(const FindableHits& hits, double free) override {
    Upload upload;
    const std::size_t label_at = upload.add(state_.label), begins_at = upload.add(hits.begins());
    const std::size_t entries_place = upload.add(hits.entries()), sums_at = upload.add(hits.sums());
    pass_ = upload.send(device_);
    tracks_ = device_bytes(state_.tracks.size() * sizeof(TrackView), device_);
    rounds_.clear();
    HitColumns columns = hits.columns();
    columns.begin = entries_at<std::int32_t>(pass_, begins_at);
    columns.entries = entries_at<HitColumns::Entry>(pass_, entries_place);
    HitPlaces places = hits.places();
    places.sums = entries_at<std::int32_t>(pass_, sums_at);
    label_ = entries_at<int>(pass_, label_at);
    around_.emplace(SegmentSearch(segments(free), columns, places), label_, entries_at<TrackView>(tracks_, 0));
  }

  std::vector<Match> look_around(const CompletionRound& round) override {
    const TrackList list = send(round);
    // One extension for a third of the tracks is usual, and a merge for a tenth of them. Where there is more the answer
    // says how much, and the same is found again.
    for (std::size_t room = kLeastRoom + round.tracks.size();;) {
      const std::size_t size = sizeof(unsigned long long) + room * sizeof(Match);
      const at::Tensor memory = device_bytes(size, device_);
      look_around(round, list,
                  {entries_at<unsigned long long>(memory, 0), entries_at<Match>(memory, sizeof(unsigned long long)),
                   static_cast<long long>(room)});
      const at::Tensor answer = download(memory, size);
      const std::size_t found = *entries_at<unsigned long long>(answer, 0);
      const Match* matches = entries_at<Match>(answer, sizeof(unsigned long long));
      if (found <= room) return {matches, matches + found};
      room = found;
    }
  }

 private:
  static constexpr std::size_t kLeastRoom = 256;          // matches
  static constexpr std::int64_t kThreadsInAll = 1 << 17;  // about as many as a GPU runs at once
  static constexpr std::int64_t kMostLanes = 16;          // of one segment, which has some tens of steps

  [[nodiscard]] Segments segments(double free) const { return {entries_at<Point>(points_, 0), state_.cuts, free}; }

  TrackList send(const CompletionRound& round) {
    const HitLists lists(round.tracks, state_.tracks);
    Upload upload;
    const std::size_t track_at = upload.add(round.tracks), first_hit_at = upload.add(lists.first_hit);
    const std::size_t first_place_at = upload.add(round.first_place), hits_at = upload.add(lists.hits);
    const at::Tensor& sent = rounds_.emplace_back(upload.send(device_));
    num_hits_ = static_cast<std::int64_t>(lists.hits.size());
    return {entries_at<int>(sent, track_at), entries_at<int>(sent, first_hit_at), entries_at<int>(sent, first_place_at),
            entries_at<int>(sent, hits_at), static_cast<int>(round.tracks.size())};
  }

  void look_around(const CompletionRound& round, const TrackList& list, const MatchList& found) {
    update_tracks_kernel(std::max<std::int64_t>(1, blocks_for(num_hits_)), stream_, list, entries_at<TrackView>(tracks_, 0),
                         label_, found.found);
    const std::int64_t places = round.places();
    if (places == 0) return;
    const std::int64_t lanes = std::clamp<std::int64_t>(kThreadsInAll / places, 1, kMostLanes);
    look_around_kernel(blocks_for(places * lanes), stream_, *around_, list, lanes, found);
  }

  const CompletionState& state_;
  c10::Device device_;
  void* stream_;
  at::Tensor points_, pass_, tracks_;
  std::vector<at::Tensor> rounds_;  // hits to which `tracks_` point
  std::int64_t num_hits_ = 0;       // of the last of them
  int* label_ = nullptr;
  std::optional<Surroundings> around_;
};

}  // namespace

at::Tensor complete_tracks(const at::Tensor& features, const at::Tensor& labels, const WorkingPoint& cuts, int threads) {
  RECORD_USER_SCOPE("completion");
  at::Tensor completed = labels.cpu();
  auto* const label = completed.mutable_data_ptr<std::int64_t>();
  stages::TrackCompletion completion(features.const_data_ptr<float>(), labels.numel(), label, cuts.completion,
                                     cuts.min_track_hits, threads);
  KernelSearch search(completion.state(), labels);
  completion.run(search);
  completion.write(label);
  return completed;
}

}  // namespace exatrkx::gpu
