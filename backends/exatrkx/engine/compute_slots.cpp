#include "compute_slots.hpp"

#include "process.hpp"

namespace exatrkx {

std::size_t ComputeSlots::waiting() {
  const std::lock_guard lock(mutex_);
  return queue_.size();
}

void ComputeSlots::acquire() {
  std::unique_lock lock(mutex_);
  if (free_ > 0) {
    --free_;
    return;
  }
  Waiting self;
  queue_.push_back(&self);
  self.changed.wait(lock, [&] { return self.admitted; });
}

void ComputeSlots::release() noexcept {
  const std::lock_guard lock(mutex_);
  if (queue_.empty()) {
    ++free_;
    return;
  }
  // Handed on, so that nobody who comes now is faster. With the lock held: what waits may be gone once it is let go.
  Waiting& first = *queue_.front();
  queue_.pop_front();
  first.admitted = true;
  first.changed.notify_one();
}

ComputeSlots& process_slots() {
  static ComputeSlots slots(
      static_cast<int>(positive_number("EXATRKX_COMPUTE_SLOTS").value_or(usable_processors() + 1)));
  return slots;
}

}  // namespace exatrkx
