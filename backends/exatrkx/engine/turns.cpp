#include "turns.hpp"

#include <algorithm>

#include "process.hpp"

namespace exatrkx {

void Turns::take(int threads) {
  std::unique_lock lock(mutex_);
  Waiting self{threads};
  queue_.push_back(&self);
  admit();
  self.changed.wait(lock, [&] { return self.admitted; });
}

void Turns::give_back(int threads) noexcept {
  const std::lock_guard lock(mutex_);
  free_ += threads;
  admit();
}

void Turns::admit() {
  while (!queue_.empty() && queue_.front()->threads <= free_) {
    Waiting& first = *queue_.front();
    queue_.pop_front();
    free_ -= first.threads;
    first.admitted = true;
    first.changed.notify_one();
  }
}

Turn::Turn(Turns& turns, int threads) : turns_(turns), threads_(std::clamp(threads, 1, turns.processors_)) {
  turns_.take(threads_);
}

Turns& process_turns() {
  static Turns turns(usable_processors());
  return turns;
}

}  // namespace exatrkx
