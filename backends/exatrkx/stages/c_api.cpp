// C interface of the stages, for exatrkx/stages/native.py through ctypes. No exception passes this border; each
// function returns a status, and on failure leaves the text in `message`.
#include <cstdint>
#include <cstdio>
#include <exception>
#include <new>

#include "completion.hpp"
#include "components.hpp"
#include "contraction.hpp"
#include "edges.hpp"
#include "errors.hpp"
#include "neighbours.hpp"

#define EXATRKX_API extern "C" __attribute__((visibility("default")))

namespace stages = exatrkx::stages;

namespace {

// To be raised with every change of a signature or of a status below, here and in native.py.
constexpr int kAbiVersion = 4;

enum Status : int { kOk = 0, kContract = 1, kGraphTooLarge = 2, kMemory = 3, kOther = 4 };

// Returns memory for [2, edges] INT64, or null where there is none.
using Allocate = std::int64_t* (*)(std::int64_t edges);

struct Message {
  char* text;
  std::int64_t size;
};

Status fail(Status status, const Message& message, const char* text) {
  std::snprintf(message.text, static_cast<std::size_t>(message.size), "%s", text);
  return status;
}

template <class Work>
Status guarded(const Message& message, Work&& work) noexcept {
  try {
    work();
    return kOk;
  } catch (const stages::ContractError& error) {
    return fail(kContract, message, error.what());
  } catch (const stages::GraphTooLargeError& error) {
    return fail(kGraphTooLarge, message, error.what());
  } catch (const std::bad_alloc&) {
    return fail(kMemory, message, "out of memory");
  } catch (const std::exception& error) {
    return fail(kOther, message, error.what());
  }
}

auto checked(Allocate allocate) {
  return [allocate](std::int64_t edges) {
    std::int64_t* memory = allocate(edges);
    if (memory == nullptr && edges > 0) throw std::bad_alloc();
    return memory;
  };
}

}  // namespace

EXATRKX_API int exatrkx_abi_version() { return kAbiVersion; }

EXATRKX_API float exatrkx_score_threshold(double cut) { return stages::score_threshold(cut); }

EXATRKX_API int exatrkx_fixed_radius_edges(const float* points, std::int64_t count, std::int64_t dims, double radius,
                                           std::int64_t max_neighbors, std::int64_t max_edges, int threads,
                                           Allocate allocate, char* message, std::int64_t message_size) {
  return guarded({message, message_size}, [&] {
    stages::fixed_radius_edges(points, count, dims, {radius, max_neighbors, max_edges, threads}, checked(allocate));
  });
}

EXATRKX_API int exatrkx_select_edges(const std::int64_t* edge_index, const float* scores, std::int64_t edges,
                                     float threshold, int threads, Allocate allocate, char* message,
                                     std::int64_t message_size) {
  return guarded({message, message_size}, [&] {
    stages::select_edges(edge_index, scores, edges, threshold, threads, checked(allocate));
  });
}

EXATRKX_API int exatrkx_label_components(const std::int64_t* edge_index, const float* scores, std::int64_t edges,
                                         std::int64_t num_nodes, float threshold, std::int64_t min_hits,
                                         std::int64_t* labels, char* message, std::int64_t message_size) {
  return guarded({message, message_size}, [&] {
    stages::label_components(edge_index, scores, edges, num_nodes, threshold, min_hits, labels);
  });
}

EXATRKX_API int exatrkx_label_clusters(const std::int64_t* edge_index, const float* scores, std::int64_t edges,
                                       std::int64_t num_nodes, float threshold, std::int64_t min_hits,
                                       std::int64_t* labels, char* message, std::int64_t message_size) {
  return guarded({message, message_size}, [&] {
    stages::label_clusters(edge_index, scores, edges, num_nodes, threshold, min_hits, labels);
  });
}

// `cuts`: the entries of CompletionCuts, in its order.
EXATRKX_API int exatrkx_complete_tracks(const float* features, std::int64_t num_nodes, const double* cuts,
                                        std::int64_t min_hits, int threads, std::int64_t* labels, char* message,
                                        std::int64_t message_size) {
  return guarded({message, message_size}, [&] {
    const stages::CompletionCuts named{cuts[0], cuts[1], cuts[2], cuts[3], cuts[4], cuts[5]};
    stages::complete_tracks(features, num_nodes, named, min_hits, threads, labels);
  });
}
