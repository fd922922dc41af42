// Turns taken by threads that watch each other: says what is not as it should be, and ends with 1.
#include "../../backends/exatrkx/engine/turns.hpp"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../../backends/exatrkx/engine/process.hpp"

int exatrkx::usable_processors() { return 3; }  // process.cpp needs torch

namespace {

using namespace std::chrono_literals;
using exatrkx::Turn;
using exatrkx::Turns;

void expect(bool good, const char* what) {
  if (good) return;
  std::printf("not so: %s\n", what);
  std::exit(1);
}

// The most turns at once while twelve threads take many each.
int most_at_once(Turns& turns) {
  std::atomic<int> now = 0, most = 0;
  std::vector<std::thread> threads;
  for (int number = 0; number < 12; ++number) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) {
        const Turn turn(turns);
        const int counted = ++now;
        for (int seen = most; seen < counted && !most.compare_exchange_weak(seen, counted);) {
        }
        if (round % 20 == 0) std::this_thread::sleep_for(100us);
        --now;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return most;
}

std::string order_of_arrival() {
  Turns turns(1);
  std::string order;
  std::mutex mutex;
  std::atomic<std::size_t> arrived = 0;
  std::vector<std::thread> threads;
  {
    const Turn first(turns);
    for (const char name : {'a', 'b', 'c', 'd'}) {
      threads.emplace_back([&, name] {
        ++arrived;
        const Turn turn(turns);
        const std::lock_guard lock(mutex);
        order += name;
      });
      while (arrived < threads.size()) std::this_thread::yield();  // on a busy machine a thread may start late
      std::this_thread::sleep_for(50ms);  // from having arrived to waiting it is one step
    }
    const std::lock_guard lock(mutex);
    expect(order.empty(), "they wait while another has the turn");
  }
  for (std::thread& thread : threads) thread.join();
  return order;
}

}  // namespace

int main() {
  Turns two(2);
  expect(most_at_once(two) == 2, "two at once where there are two turns");
  for (int round = 0; round < 10; ++round) {
    try {
      const Turn turn(two);
      throw std::runtime_error("a network failed");
    } catch (const std::runtime_error&) {
    }
  }
  expect(most_at_once(two) == 2, "a turn that ends with an exception is given back");
  expect(order_of_arrival() == "abcd", "turns in the order of arrival");
  expect(most_at_once(exatrkx::process_turns()) == 4, "one more than the processors that the process may use");
  std::puts("good");
}
