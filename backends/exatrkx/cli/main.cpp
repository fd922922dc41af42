// exatrkx-engine: the tracks of events in files, without a server.
#include <ATen/Parallel.h>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "../engine/errors.hpp"
#include "../engine/process.hpp"
#include "arguments.hpp"
#include "events_csv.hpp"

namespace {

using exatrkx::Tracks;

void print_labels(const Tracks& tracks) {
  const auto* labels = tracks.labels.const_data_ptr<std::int64_t>();
  for (std::int64_t i = 0; i < tracks.labels.numel(); ++i) std::printf("%lld\n", static_cast<long long>(labels[i]));
}

void print_edges(const Tracks& tracks) {
  const std::int64_t edges = tracks.edge_scores.numel();
  const auto* index = tracks.edge_index.const_data_ptr<std::int64_t>();
  const auto* scores = tracks.edge_scores.const_data_ptr<float>();
  for (std::int64_t e = 0; e < edges; ++e) {
    // Nine digits read back as the same FP32.
    std::printf("%lld,%lld,%.9g\n", static_cast<long long>(index[e]), static_cast<long long>(index[edges + e]),
                static_cast<double>(scores[e]));
  }
}

Tracks on_host(const Tracks& tracks) {
  return {tracks.labels.cpu(), tracks.edge_index.cpu(), tracks.edge_scores.cpu()};
}

int run(const std::vector<std::string>& words) {
  const exatrkx::Arguments arguments = exatrkx::parse_arguments(words);
  if (arguments.help) {
    std::fputs(exatrkx::kUsage, stdout);
    return 0;
  }
  exatrkx::retain_freed_memory();
  at::set_num_threads(arguments.threads);
  exatrkx::Engine engine(c10::Device(arguments.device), arguments.networks, arguments.cuts, arguments.threads);
  for (const auto& event : arguments.events) {
    const std::vector<float> features = exatrkx::read_features(event, arguments.cuts.num_features);
    try {
      const auto count = static_cast<std::int64_t>(features.size()) / arguments.cuts.num_features;
      const Tracks tracks = on_host(engine.find_tracks(features.data(), count));
      std::printf("# %s\n", event.c_str());
      print_labels(tracks);
      if (arguments.edges) print_edges(tracks);
    } catch (const std::exception&) {
      throw std::runtime_error(event.string() + ": " + exatrkx::text_of(std::current_exception()));
    }
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** words) {
  try {
    return run({words + 1, words + count});
  } catch (...) {
    std::fprintf(stderr, "exatrkx-engine: %s\n", exatrkx::text_of(std::current_exception()).c_str());
    return 1;
  }
}
