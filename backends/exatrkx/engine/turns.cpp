#include "turns.hpp"

#include "process.hpp"

namespace exatrkx {

void Turns::take() {
  std::unique_lock lock(mutex_);
  if (free_ > 0) {
    --free_;
    return;
  }
  Waiting self;
  queue_.push_back(&self);
  self.changed.wait(lock, [&] { return self.admitted; });
}

void Turns::give_back() noexcept {
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

Turns& process_turns() {
  static Turns turns(usable_processors() + 1);
  return turns;
}

}  // namespace exatrkx
