// Turns on the processors of this machine, for networks of several models that compute in one process.
//
// Each step of an ensemble has threads of its own, so more of them can be ready than there are processors. The kernel then
// gives each a few milliseconds at a time, and each finds its layers' results gone from the caches when its turn comes
// again. Here a network has its processors from beginning to end, and the others wait in order of arrival.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>

namespace exatrkx {

class Turns {
 public:
  explicit Turns(int processors) : free_(processors), processors_(processors) {}

 private:
  friend class Turn;

  struct Waiting {
    int threads;
    bool admitted = false;
    std::condition_variable changed;
  };

  void take(int threads);
  void give_back(int threads) noexcept;
  void admit();  // with mutex_ held: from the head of the queue all who find room

  std::mutex mutex_;
  std::deque<Waiting*> queue_;
  int free_;
  int processors_;
};

// While it lives, this thread has a turn. Made where all processors are taken, it waits for one.
class Turn {
 public:
  // `threads`: how many the work uses; more than there are processors count as all of them.
  Turn(Turns& turns, int threads);
  ~Turn() { turns_.give_back(threads_); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  Turns& turns_;
  int threads_;
};

// Those of this process, on the processors that it may use.
[[nodiscard]] Turns& process_turns();

}  // namespace exatrkx
