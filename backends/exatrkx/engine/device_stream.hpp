// Device stream: a device with a stream of its own, so that several engines of a process share a GPU without waiting
// for each other.
#pragma once

#include <c10/core/StreamGuard.h>

#include <optional>

namespace exatrkx {

class DeviceStream {
 public:
  // Throws ContractError: there is no such device, or this build of torch cannot use it.
  explicit DeviceStream(c10::Device device);

  [[nodiscard]] c10::Device device() const noexcept { return device_; }
  // Waits until all that was started in this stream is done.
  void synchronize() const {
    if (stream_) stream_->synchronize();
  }

 private:
  friend class DeviceStreamGuard;

  c10::Device device_;
  std::optional<c10::Stream> stream_;  // none on a CPU
};

// While it lives, this thread works on this device and in this stream.
class DeviceStreamGuard {
 public:
  explicit DeviceStreamGuard(const DeviceStream& stream) : guard_(stream.stream_) {}

 private:
  c10::OptionalStreamGuard guard_;
};

// Whether this process can use a GPU of this kind at all.
[[nodiscard]] bool has_cuda();

}  // namespace exatrkx
