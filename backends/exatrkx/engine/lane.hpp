// A device with a stream of its own, so that several engines of a process do not wait for each other on one GPU.
#pragma once

#include <c10/core/StreamGuard.h>

#include <optional>

namespace exatrkx {

class Lane {
 public:
  // Throws ContractError: there is no such device, or this build of torch cannot use it.
  explicit Lane(c10::Device device);

  [[nodiscard]] c10::Device device() const noexcept { return device_; }
  // Waits until all that was started in this lane is done.
  void synchronize() const {
    if (stream_) stream_->synchronize();
  }

 private:
  friend class LaneScope;

  c10::Device device_;
  std::optional<c10::Stream> stream_;  // none on a CPU
};

// While it lives, this thread works on the lane's device and in its stream.
class LaneScope {
 public:
  explicit LaneScope(const Lane& lane) : guard_(lane.stream_) {}

 private:
  c10::OptionalStreamGuard guard_;
};

// Whether this process can use a GPU of this kind at all.
[[nodiscard]] bool has_cuda();

}  // namespace exatrkx
