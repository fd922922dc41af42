// Transfers between host and GPU: several arrays as one, for each copy takes some microseconds to start.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace exatrkx::gpu {

// Memory of the host that a GPU copies from and to by itself; plain memory where the kernels run on the host.
[[nodiscard]] inline at::Tensor host_bytes(std::size_t size, const c10::Device& device) {
  const auto options = at::TensorOptions().dtype(at::kByte).pinned_memory(device.is_cuda());
  return at::empty({static_cast<std::int64_t>(size)}, options);
}

[[nodiscard]] inline at::Tensor device_bytes(std::size_t size, const c10::Device& device) {
  return at::empty({static_cast<std::int64_t>(size)}, at::TensorOptions().dtype(at::kByte).device(device));
}

// What lies at a place of such memory.
template <class Entry>
[[nodiscard]] Entry* entries_at(const at::Tensor& bytes, std::size_t place) {
  return reinterpret_cast<Entry*>(bytes.mutable_data_ptr<std::uint8_t>() + place);
}

class Upload {
 public:
  // Returns the place of these entries in what is sent; they stay where they are until then.
  template <class Entry>
  std::size_t add(const std::vector<Entry>& entries) {
    const std::size_t place = size_;
    parts_.push_back({entries.data(), entries.size() * sizeof(Entry), place});
    size_ += (parts_.back().size + kAlignment - 1) / kAlignment * kAlignment;
    return place;
  }

  // Does not wait for the GPU.
  [[nodiscard]] at::Tensor send(const c10::Device& device) const {
    const at::Tensor bytes = host_bytes(size_, device);
    for (const Part& part : parts_) {
      if (part.size > 0) std::memcpy(entries_at<std::byte>(bytes, part.place), part.entries, part.size);
    }
    return bytes.to(device, /*non_blocking=*/true);
  }

 private:
  static constexpr std::size_t kAlignment = 16;

  struct Part {
    const void* entries;
    std::size_t size, place;
  };

  std::vector<Part> parts_;
  std::size_t size_ = 0;
};

// Waits for the GPU: so many of its bytes, from the beginning on.
[[nodiscard]] inline at::Tensor download(const at::Tensor& bytes, std::size_t size) {
  at::Tensor copied = host_bytes(size, bytes.device());
  copied.copy_(bytes.narrow(0, 0, static_cast<std::int64_t>(size)));
  return copied;
}

}  // namespace exatrkx::gpu
