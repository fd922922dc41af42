// The library's class in a program of one's own: readiness, more columns, several threads, moves.
#include <iostream>
#include <thread>
#include <vector>

#include "tracking_client.hpp"

namespace {

std::string readiness(const std::string& url, const std::string& model) {
  const exatrkx::TrackingClient client(url, {.model = model, .timeout = std::chrono::seconds(20)});
  try {
    return client.is_ready() ? "ready" : "not ready";
  } catch (const exatrkx::Error& error) {
    return error.kind() == exatrkx::Error::Kind::model ? "no such model" : error.what();
  }
}

// Events of 0 to 19 spacepoints, far from each other, at the same time: each has as many labels of its own.
bool at_once(const exatrkx::TrackingClient& client) {
  std::vector<std::vector<std::int64_t>> found(20);
  std::vector<std::thread> threads;
  for (std::size_t size = 0; size < found.size(); ++size) {
    threads.emplace_back([&client, &labels = found[size], size] {
      std::vector<exatrkx::Spacepoint> event;
      for (std::size_t i = 0; i < size; ++i) event.push_back({100, 0, 300 * static_cast<float>(i)});
      labels = client.find_tracks(event);
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (std::size_t size = 0; size < found.size(); ++size) {
    if (found[size] != std::vector<std::int64_t>(size, -1)) return false;
  }
  return true;
}

}  // namespace

int main(int, char** words) {
  const std::string url = words[1], away = words[2], four_columns = words[3];
  std::cout << readiness(url, "exatrkx_ensemble") << ", " << readiness(url, "nobody's") << ", "
            << readiness(away, "exatrkx_ensemble") << '\n';
  exatrkx::TrackingClient client(away);
  client = exatrkx::TrackingClient(url);
  std::cout << at_once(client) << '\n';
  const std::vector<float> features(20, 0.5F);
  std::cout << exatrkx::TrackingClient(four_columns).find_tracks(features, 4).size() << '\n';
  try {
    (void)client.find_tracks(features, 3);
  } catch (const std::invalid_argument& error) {
    std::cout << error.what() << '\n';
  }
  const std::vector<exatrkx::Spacepoint> event{{32, 1, 10}, {72, 2, 20}};
  try {
    (void)exatrkx::features(event, std::vector<exatrkx::ExtraFeature>{{"charge"}}, {{"charge", {1}}});
  } catch (const std::invalid_argument& error) {
    std::cout << error.what() << '\n';
  }
  std::cout << client.extra_features().size() << '\n';
}
