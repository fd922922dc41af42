// Perceptrons, a row to a thread: `taken_apart` of exatrkx/networks/tables.py says what their parameters are.
//
// A layer's outputs stay in the thread's registers, its inputs lie in the thread's column of shared memory, and the
// weights are read by all threads of a warp at the same time, from the nearest cache. So of a whole network nothing is
// written to memory but what comes out of it.
#pragma once

#include "numbers.cuh"

// Numbers of a thread in memory shared by its block: those of threads side by side are side by side.
class Column {
 public:
  __device__ explicit Column(float* block) : mine_(block + threadIdx.x) {}

  __device__ float& operator[](int k) const { return mine_[k * blockDim.x]; }
  __device__ Column from(int k) const { return Column(mine_ + k * blockDim.x, 0); }

  template <int kSize>
  __device__ void store(const float (&values)[kSize]) const {
#pragma unroll
    for (int k = 0; k < kSize; ++k) (*this)[k] = values[k];
  }

 private:
  __device__ Column(float* mine, int) : mine_(mine) {}

  float* mine_;
};

// The parameters of networks one after the other, as exatrkx/networks/kernel_parameters.py lays them down: each part
// begins at a multiple of four.
class Parameters {
 public:
  __device__ explicit Parameters(const float* first) : next_(first) {}

  __device__ const float* take(int count) {
    const float* const part = next_;
    next_ += (count + 3) / 4 * 4;
    return part;
  }

 private:
  const float* next_;
};

// y += x · four columns of weights.
__device__ inline void add_product(float x, const float4& weight, float* y) {
  y[0] += x * weight.x;
  y[1] += x * weight.y;
  y[2] += x * weight.z;
  y[3] += x * weight.w;
}

template <int kOut>
struct Linear {
  static_assert(kOut % 4 == 0);

  const float *weight, *bias;  // [inputs, kOut], [kOut]

  __device__ Linear(Parameters& parameters, int inputs)
      : weight(parameters.take(inputs * kOut)), bias(parameters.take(kOut)) {}

  // y = W x + b
  __device__ void operator()(int inputs, const Column& x, float (&y)[kOut]) const {
    start(y);
    add(inputs, x, y);
  }

  __device__ void start(float (&y)[kOut]) const {
#pragma unroll
    for (int j = 0; j < kOut; ++j) y[j] = bias[j];
  }

  // y += W x
  __device__ void add(int inputs, const Column& x, float (&y)[kOut]) const {
#pragma unroll 2
    for (int k = 0; k < inputs; ++k) add_input(k, x[k], y);
  }

  __device__ void add_input(int k, float x, float (&y)[kOut]) const {
    const auto* const row = reinterpret_cast<const float4*>(weight + k * kOut);
#pragma unroll
    for (int j = 0; j < kOut / 4; ++j) add_product(x, row[j], y + 4 * j);
  }
};

// A linear layer with the LayerNorm and the ReLU after it, but for what the next layer does.
template <int kOut>
struct Layer {
  Linear<kOut> linear;
  const float* least;  // [kOut]

  __device__ Layer(Parameters& parameters, int inputs) : linear(parameters, inputs), least(parameters.take(kOut)) {}

  __device__ void operator()(int inputs, const Column& x, float (&y)[kOut]) const {
    linear(inputs, x, y);
    float squares = 0.0F;
#pragma unroll
    for (int j = 0; j < kOut; ++j) squares += y[j] * y[j];
    const float scale = 1.0F / sqrtf(squares / kOut + 1e-5F);  // eps of torch.layer_norm
#pragma unroll
    for (int j = 0; j < kOut; ++j) y[j] = at_least(y[j] * scale, least[j]);
  }
};

// A linear layer with one output.
template <int kIn>
struct Score {
  const float *weight, *bias;  // [kIn], [1]

  __device__ explicit Score(Parameters& parameters) : weight(parameters.take(kIn)), bias(parameters.take(1)) {}

  __device__ float operator()(const float (&x)[kIn]) const {
    float sum = bias[0];
#pragma unroll
    for (int k = 0; k < kIn; ++k) sum += x[k] * weight[k];
    return sum;
  }
};
