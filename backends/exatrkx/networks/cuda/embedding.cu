// Embedding: exatrkx/networks/mlp.py's, a spacepoint to a thread.
#include "../../stages/cuda/threads.cuh"
#include "geometry.cuh"
#include "perceptron.cuh"

constexpr int kEmbeddingHidden = 128;
constexpr int kEmbeddingThreads = 64;  // so that the columns of a block have room in its static shared memory
constexpr int kMostOutputs = 8;        // circles and other coordinates

// features [count, columns] -> embedding [count, outputs + circles].
extern "C" __global__ void __launch_bounds__(kEmbeddingThreads)
    embed_points(const float* features, int count, int columns, const float* parameters, int hidden_layers, int outputs,
                 int circles, float* embedding) {
  __shared__ float block[kEmbeddingHidden * kEmbeddingThreads];
  const long long i = global_thread();
  if (i >= count) return;
  const float* const row = features + i * columns;
  const Node node = node_of(row);
  const Column x(block);
  x.store<kNodeFeatures>({node.r, node.z, node.eta, node.tanh_eta});
  Parameters rest(parameters);
  for (int layer = 0, inputs = kNodeFeatures; layer < hidden_layers; ++layer, inputs = kEmbeddingHidden) {
    float hidden[kEmbeddingHidden];
    Layer<kEmbeddingHidden>(rest, inputs)(inputs, x, hidden);
    x.store(hidden);
  }
  float place[kMostOutputs];
  Linear<kMostOutputs>(rest, kEmbeddingHidden)(kEmbeddingHidden, x, place);
  const float angle = row[1] * kPi;
  const float cosine = cosf(angle), sine = sinf(angle);
  float* const point = embedding + i * (outputs + circles);
#pragma unroll
  for (int k = 0; k < kMostOutputs; ++k) {
    if (k < circles) {
      point[k] = place[k] * kCircleScale * cosine;
      point[circles + k] = place[k] * kCircleScale * sine;
    } else if (k < outputs) {
      point[circles + k] = place[k];
    }
  }
}
