// A served network by itself, as the engine runs it: of features and edges in files of bare numbers.
//
//   MODEL.pt DEVICE FEATURES NUM_FEATURES EDGES OUTPUT
//
// EDGES is "none" for the embedding. Prints whether kernels computed it.
#include <ATen/ops/empty.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <string>

#include "../../backends/exatrkx/engine/device_stream.hpp"
#include "../../backends/exatrkx/engine/errors.hpp"
#include "../../backends/exatrkx/engine/network.hpp"

namespace {

at::Tensor numbers_in(const std::string& file, at::ScalarType type) {
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(file));
  const auto width = static_cast<std::int64_t>(c10::elementSize(type));
  at::Tensor numbers = at::empty({size / width}, at::TensorOptions().dtype(type));
  std::ifstream(file, std::ios::binary).read(static_cast<char*>(numbers.mutable_data_ptr()), size);
  return numbers;
}

}  // namespace

int main(int /*count*/, char** words) {
  try {
    const exatrkx::DeviceStream stream{c10::Device(words[2])};
    const exatrkx::DeviceStreamGuard own_stream(stream);
    const c10::Device device = stream.device();
    const exatrkx::NetworkScope scope;
    exatrkx::Network network(words[1], device);
    std::vector<c10::IValue> inputs{numbers_in(words[3], at::kFloat).view({-1, std::atoll(words[4])}).to(device)};
    if (words[5] != std::string("none")) inputs.emplace_back(numbers_in(words[5], at::kLong).view({2, -1}).to(device));
    const at::Tensor output = network(inputs).cpu().contiguous();
    std::ofstream(words[6], std::ios::binary)
        .write(static_cast<const char*>(output.const_data_ptr()), static_cast<std::streamsize>(output.nbytes()));
    std::puts(network.by_kernels() ? "kernels" : "torchscript");
    return 0;
  } catch (...) {
    std::fprintf(stderr, "%s\n", exatrkx::text_of(std::current_exception()).c_str());
    return 1;
  }
}
