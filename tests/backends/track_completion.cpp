// Track completion as the engine does it on a GPU, of one event after the other from standard input. An event is its
// number of spacepoints, the six numbers of CompletionCuts, min_track_hits and the host's threads, and then a row for
// each spacepoint: three features and a label. Prints its labels on a line. Argument: the device, which is "cpu" where
// the kernels run on the host's threads.
#include <ATen/ops/empty.h>

#include <cstdio>
#include <iostream>

#include "../../backends/exatrkx/engine/device_stream.hpp"
#include "../../backends/exatrkx/engine/gpu/graph.hpp"

int main(int /*count*/, char** arguments) {
  const exatrkx::DeviceStream device{c10::Device(arguments[1])};
  const exatrkx::DeviceStreamGuard own_stream(device);
  std::ios::sync_with_stdio(false);
  std::int64_t count = 0;
  for (exatrkx::WorkingPoint cuts; std::cin >> count;) {
    int threads = 1;
    auto& c = cuts.completion;
    std::cin >> c.reach >> c.sigmas >> c.hit_resolution >> c.scattering_length >> c.strip_resolution >> c.max_chance;
    std::cin >> cuts.min_track_hits >> threads;
    const at::Tensor features = at::empty({count, 3}, at::TensorOptions().dtype(at::kFloat));
    const at::Tensor labels = at::empty({count}, at::TensorOptions().dtype(at::kLong));
    for (std::int64_t i = 0; i < count; ++i) {
      for (int k = 0; k < 3; ++k) {
        double value = 0.0;
        std::cin >> value;
        features.mutable_data_ptr<float>()[3 * i + k] = static_cast<float>(value);
      }
      std::cin >> labels.mutable_data_ptr<std::int64_t>()[i];
    }
    const at::Tensor completed = exatrkx::gpu::complete_tracks(features, labels.to(device.device()), cuts, threads).cpu();
    for (std::int64_t i = 0; i < count; ++i) {
      std::printf("%lld ", static_cast<long long>(completed.const_data_ptr<std::int64_t>()[i]));
    }
    std::puts("");
    std::fflush(stdout);
  }
}
