// Turns on the processors of this machine, for networks and stages of several models that compute in one process.
//
// Each step of an ensemble has threads of its own, so more of them can be ready than there are processors. The kernel then
// gives each a few milliseconds at a time, and each finds its layers' results gone from the caches when its turn comes
// again. Here a network runs from beginning to end, and those beyond the number of turns wait in order of arrival.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>

namespace exatrkx {

class Turns {
 public:
  explicit Turns(int at_once) : free_(at_once) {}

 private:
  friend class Turn;

  struct Waiting {
    bool admitted = false;
    std::condition_variable changed;
  };

  void take();
  void give_back() noexcept;

  std::mutex mutex_;
  std::deque<Waiting*> queue_;  // nobody waits while a turn is free
  int free_;
};

// While it lives, this thread has a turn; making one waits until there is one.
class Turn {
 public:
  explicit Turn(Turns& turns) : turns_(turns) { turns_.take(); }
  ~Turn() { turns_.give_back(); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Turns& turns_;
};

// Those of this process, one for each processor that it may use and one more: a processor then has something to do while
// a turn is handed on, which takes a thread's waking up.
[[nodiscard]] Turns& process_turns();

}  // namespace exatrkx
