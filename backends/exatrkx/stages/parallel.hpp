// Parallel for loop over independent tasks on a few threads, with no library behind it but the standard one.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace exatrkx::stages {

// The first exception of any thread, thrown again on the thread that waits.
class FirstError {
 public:
  template <class Work>
  void run(Work&& work) noexcept {
    try {
      work();
    } catch (...) {
      std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
      set_ = true;
    }
  }
  [[nodiscard]] bool is_set() const noexcept { return set_; }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr error_;
  std::atomic<bool> set_{false};
};

// task(0) … task(count - 1), in any order, on the calling thread and up to `threads` - 1 more. A task that throws ends
// the loop, and the first exception is thrown here. Where no thread can be started, those that run do all the work.
template <class Task>
void parallel_for(std::int64_t count, int threads, Task&& task) {
  std::atomic<std::int64_t> next{0};
  FirstError error;
  auto drain = [&] {
    error.run([&] {
      while (!error.is_set()) {
        const std::int64_t index = next.fetch_add(1, std::memory_order_relaxed);
        if (index >= count) break;
        task(index);
      }
    });
  };
  std::vector<std::jthread> helpers;
  const auto wanted = std::min<std::int64_t>(threads, count) - 1;
  if (wanted > 0) helpers.reserve(static_cast<std::size_t>(wanted));
  for (std::int64_t helper = 0; helper < wanted; ++helper) {
    try {
      helpers.emplace_back(drain);
    } catch (const std::system_error&) {
      break;
    }
  }
  drain();
  helpers.clear();  // joins
  error.rethrow();
}

// Tasks of `grain` items each that cover `items`.
[[nodiscard]] constexpr std::int64_t tasks_for(std::int64_t items, std::int64_t grain) noexcept {
  return (items + grain - 1) / grain;
}

}  // namespace exatrkx::stages
