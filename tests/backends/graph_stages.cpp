// Edge selection, or labels of a graph by components or by contraction, from the command line, by the engine's
// functions: prints the error's text.
//
//   select|label|cluster NUM_NODES FROM,TO,SCORE ...
#include <ATen/ops/empty.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "../../backends/exatrkx/engine/errors.hpp"
#include "../../backends/exatrkx/engine/graph.hpp"

int main(int count, char** words) {
  const std::int64_t edges = count - 3;
  const at::Tensor edge_index = at::empty({2, edges}, at::TensorOptions().dtype(at::kLong));
  const at::Tensor scores = at::empty({edges}, at::TensorOptions().dtype(at::kFloat));
  for (std::int64_t e = 0; e < edges; ++e) {
    char* rest = words[e + 3];
    for (int end = 0; end < 2; ++end, ++rest) {
      edge_index.mutable_data_ptr<std::int64_t>()[end * edges + e] = std::strtoll(rest, &rest, 10);
    }
    scores.mutable_data_ptr<float>()[e] = std::strtof(rest, nullptr);
  }
  exatrkx::WorkingPoint cuts;
  cuts.filter_cut = cuts.gnn_cut = 0.5;
  if (words[1] == std::string("cluster")) cuts.track_building = exatrkx::WorkingPoint::kContraction;
  try {
    const bool select = words[1] == std::string("select");
    const at::Tensor found = select ? exatrkx::select_edges(edge_index, scores, cuts, 1)
                                    : exatrkx::label_tracks(edge_index, scores, std::atoll(words[2]), cuts, {}, 1);
    std::printf("%lld\n", static_cast<long long>(found.numel()));
  } catch (const exatrkx::ContractError& error) {
    std::puts(error.what());
  }
}
