// Compute slots taken by threads that watch each other, and usable processors: says what is not as it should be, and ends
// with 1. Arguments: the slots that the process is to have, a file with a CPU quota, and the processors usable by that.
#include "../../backends/exatrkx/engine/compute_slots.hpp"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../../backends/exatrkx/engine/process.hpp"

namespace {

using exatrkx::ComputeSlot;
using exatrkx::ComputeSlots;

void expect(bool good, const char* what) {
  if (good) return;
  std::printf("not so: %s\n", what);
  std::exit(1);
}

// Whether more threads than that, taking a slot many times each, were so many at once and never more. The first to have
// slots keep them until so many have.
bool at_most_at_once(ComputeSlots& slots, int expected) {
  std::atomic<int> now = 0, most = 0;
  std::vector<std::thread> threads;
  for (int number = 0; number < expected + 8; ++number) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        const ComputeSlot slot(slots);
        const int counted = ++now;
        for (int seen = most; seen < counted && !most.compare_exchange_weak(seen, counted);) {
        }
        while (most < expected) std::this_thread::yield();
        --now;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return most == expected;
}

std::string order_of_arrival() {
  ComputeSlots slots(1);
  std::string order;
  std::mutex mutex;
  std::vector<std::thread> threads;
  {
    const ComputeSlot first(slots);
    for (const char name : {'a', 'b', 'c', 'd'}) {
      threads.emplace_back([&, name] {
        const ComputeSlot slot(slots);
        const std::lock_guard lock(mutex);
        order += name;
      });
      while (slots.waiting() < threads.size()) std::this_thread::yield();
    }
    const std::lock_guard lock(mutex);
    expect(order.empty(), "they wait while another has the slot");
  }
  for (std::thread& thread : threads) thread.join();
  return order;
}

}  // namespace

int main(int /*count*/, char** arguments) {
  ComputeSlots two(2);
  expect(at_most_at_once(two, 2), "two at once where there are two slots");
  for (int round = 0; round < 10; ++round) {
    try {
      const ComputeSlot slot(two);
      throw std::runtime_error("a network failed");
    } catch (const std::runtime_error&) {
    }
  }
  expect(at_most_at_once(two, 2), "a slot is released by an exception");
  expect(order_of_arrival() == "abcd", "slots in the order of arrival");
  expect(at_most_at_once(exatrkx::process_slots(), std::atoi(arguments[1])), "the process has so many slots");
  expect(exatrkx::usable_processors(arguments[2]) == std::atoi(arguments[3]), "so many processors are usable");
  std::puts("good");
}
