// Working point: the cuts and limits of the stages. exatrkx/working_point.py says what each number means.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "../stages/local_helix.hpp"

namespace exatrkx {

struct WorkingPoint {
  // Methods of the last stage, TRACK_BUILDING of working_point.py.
  static constexpr const char* kComponents = "components";
  static constexpr const char* kContraction = "contraction";

  double radius = 0.0;
  std::int64_t max_neighbors = 0;
  double filter_cut = 0.0;
  double gnn_cut = 0.0;
  std::int64_t min_hits = 3;
  std::int64_t max_edges = 5'000'000;
  std::string track_building = kComponents;
  stages::CompletionCuts completion;
  std::int64_t min_track_hits = 5;

  static constexpr std::array<const char*, 7> kFields{"radius",   "max_neighbors", "filter_cut",    "gnn_cut",
                                                      "min_hits", "max_edges",     "track_building"};
  // What a model's configuration may lack: without a `completion_reach` there is no track completion.
  static constexpr std::array<const char*, 7> kCompletion{"completion_reach",  "completion_sigmas", "hit_resolution",
                                                          "scattering_length", "strip_resolution",  "max_chance",
                                                          "min_track_hits"};

  using Texts = std::map<std::string, std::string, std::less<>>;

  // From names and the texts of values; `source` is named in errors. Other names are ignored, and absent ones left at
  // their defaults.
  //
  // Throws ContractError with every text that is no number, or out of range.
  [[nodiscard]] static WorkingPoint from_texts(const Texts& texts, const std::string& source);
};

}  // namespace exatrkx
