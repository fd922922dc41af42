// Tensor contract: names and shapes of exatrkx/contract.py, and the checks of exatrkx/checks.py on torch's tensors.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace exatrkx {

inline constexpr std::int64_t kVariable = -1;  // a dimension of any size

struct TensorSpec {
  const char* name;
  at::ScalarType type;
  std::vector<std::int64_t> dims;
  bool optional = false;  // then an undefined tensor stands for one that is not given
  bool on_host = false;   // it is read there, also where the model works on a GPU

  // "FP32 [-1,3]"
  [[nodiscard]] std::string form() const;
  [[nodiscard]] bool accepts(at::ScalarType found_type, at::IntArrayRef found_dims) const;
};

inline constexpr std::int64_t kNumFeatures = 3;  // columns of FEATURES that hold the position, its first ones

[[nodiscard]] TensorSpec features_spec(std::int64_t columns = kNumFeatures);  // FEATURES [N,F]
const TensorSpec& embedding_spec();    // EMBEDDING [N,D]
const TensorSpec& edge_scores_spec();  // EDGE_SCORES [E]

// "[4,3]"
[[nodiscard]] std::string text_of_dims(at::IntArrayRef dims);

// Throws ContractError: type or shape is not that of `spec`; both are in the text.
void check_form(const at::Tensor& tensor, const TensorSpec& spec);

// An embedding [N,D], D ≥ 1, of these N spacepoints, and no more of them than INT32 indices and memory allow. Throws
// ContractError.
void check_embedding(const at::Tensor& embedding, std::int64_t num_nodes);

// A number of spacepoints: not negative, and no more than INT32 indices and memory allow. Throws ContractError.
void check_num_nodes(std::int64_t num_nodes, const char* name);

// The scores as [E], from [E] or [E,1]. Throws ContractError: not FP32, or not one for each of `edges`.
[[nodiscard]] at::Tensor one_score_each(const at::Tensor& scores, std::int64_t edges);

}  // namespace exatrkx
