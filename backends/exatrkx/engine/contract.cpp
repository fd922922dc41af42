#include "contract.hpp"

#include <cstddef>

#include "errors.hpp"

namespace exatrkx {

namespace {

constexpr std::int64_t kMaxNodes = std::int64_t{1} << 26;  // MAX_NODES of exatrkx/checks.py

}  // namespace

TensorSpec features_spec(std::int64_t columns) { return {"FEATURES", at::kFloat, {kVariable, columns}}; }

const TensorSpec& embedding_spec() {
  static const TensorSpec kSpec{"EMBEDDING", at::kFloat, {kVariable, kVariable}};
  return kSpec;
}

const TensorSpec& edge_scores_spec() {
  static const TensorSpec kSpec{"EDGE_SCORES", at::kFloat, {kVariable}};
  return kSpec;
}

std::string text_of_dims(at::IntArrayRef dims) {
  std::string text = "[";
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (i > 0) text += ',';
    text += std::to_string(dims[i]);
  }
  return text + "]";
}

std::string TensorSpec::form() const {
  return (type == at::kFloat ? "FP32 " : "INT64 ") + text_of_dims(dims);
}

bool TensorSpec::accepts(at::ScalarType found_type, at::IntArrayRef found_dims) const {
  if (found_type != type || found_dims.size() != dims.size()) return false;
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] != kVariable && dims[i] != found_dims[i]) return false;
  }
  return true;
}

void check_form(const at::Tensor& tensor, const TensorSpec& spec) {
  if (spec.accepts(tensor.scalar_type(), tensor.sizes())) return;
  throw ContractError(std::string(spec.name) + ": expected " + spec.form() + ", found " +
                      c10::toString(tensor.scalar_type()) + " " + text_of_dims(tensor.sizes()));
}

void check_embedding(const at::Tensor& embedding, std::int64_t num_nodes) {
  const TensorSpec& spec = embedding_spec();
  check_form(embedding, spec);
  const std::string name = spec.name;
  if (embedding.size(1) < 1) throw ContractError(name + ": expected at least 1 column, found 0");
  if (embedding.size(0) > kMaxNodes) {
    throw ContractError(name + ": expected at most " + std::to_string(kMaxNodes) + " rows, found " +
                        std::to_string(embedding.size(0)));
  }
  if (embedding.size(0) != num_nodes) {
    throw ContractError(name + ": expected one row for each of " + std::to_string(num_nodes) +
                        " spacepoints, found " + std::to_string(embedding.size(0)));
  }
}

void check_num_nodes(std::int64_t num_nodes, const char* name) {
  if (num_nodes >= 0 && num_nodes <= kMaxNodes) return;
  throw ContractError(std::string(name) + ": must be in [0, " + std::to_string(kMaxNodes) + "], found " +
                      std::to_string(num_nodes));
}

at::Tensor one_score_each(const at::Tensor& scores, std::int64_t edges) {
  const TensorSpec& spec = edge_scores_spec();
  const at::Tensor flat = scores.dim() == 2 && scores.size(1) == 1 ? scores.reshape({-1}) : scores;
  check_form(flat, spec);
  if (flat.size(0) != edges) {
    throw ContractError(std::string(spec.name) + ": expected one entry for each of " + std::to_string(edges) +
                        " edges, found " + std::to_string(flat.size(0)));
  }
  return flat;
}

}  // namespace exatrkx
