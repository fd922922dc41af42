// Compute slots: a FIFO semaphore that bounds how many networks and stages of a process compute at once on the CPU.
//
// Each step of an ensemble has threads of its own, so more of them can be ready than there are processors. The kernel
// then gives each a few milliseconds at a time, and each finds its layers' results gone from the caches when it goes
// on. Here a network runs from beginning to end, and those beyond the number of slots wait in order of arrival.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>

namespace exatrkx {

class ComputeSlots {
 public:
  explicit ComputeSlots(int count) : free_(count) {}

  // How many threads wait for a slot.
  [[nodiscard]] std::size_t waiting();

 private:
  friend class ComputeSlot;

  struct Waiting {
    bool admitted = false;
    std::condition_variable changed;
  };

  void acquire();
  void release() noexcept;

  std::mutex mutex_;
  std::deque<Waiting*> queue_;  // nobody waits while a slot is free
  int free_;
};

// While it lives, this thread has a slot; making one waits until there is one.
class ComputeSlot {
 public:
  explicit ComputeSlot(ComputeSlots& slots) : slots_(slots) { slots_.acquire(); }
  ~ComputeSlot() { slots_.release(); }
  ComputeSlot(const ComputeSlot&) = delete;
  ComputeSlot& operator=(const ComputeSlot&) = delete;

 private:
  ComputeSlots& slots_;
};

// Those of this process: as many as the environment variable EXATRKX_COMPUTE_SLOTS says, which deploy/serve.py sets;
// where it is no positive number, one for each usable processor and one more: a processor then has something to do
// while a slot is handed on, which takes a thread's waking up.
[[nodiscard]] ComputeSlots& process_slots();

}  // namespace exatrkx
