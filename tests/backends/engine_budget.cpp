// What the engine starts on a GPU for the first of the events that its arguments name: those of exatrkx-engine.
#include <exception>
#include <string>
#include <vector>

#include "../../backends/exatrkx/cli/arguments.hpp"
#include "../../backends/exatrkx/cli/events_csv.hpp"
#include "../../backends/exatrkx/engine/engine.hpp"
#include "../../backends/exatrkx/engine/errors.hpp"
#include "budget.hpp"

int main(int count, char** words) {
  try {
    const exatrkx::Arguments arguments = exatrkx::parse_arguments({words + 1, words + count});
    exatrkx::Engine engine(c10::Device("cpu"), arguments.networks, arguments.cuts, arguments.threads);
    const std::vector<float> features = exatrkx::read_features(arguments.events.at(0), arguments.cuts.num_features);
    const auto rows = static_cast<std::int64_t>(features.size()) / arguments.cuts.num_features;
    exatrkx::budget::count();
    static_cast<void>(engine.find_tracks(features.data(), rows));
    exatrkx::budget::print();
    return 0;
  } catch (...) {
    std::fprintf(stderr, "%s\n", exatrkx::text_of(std::current_exception()).c_str());
    return 1;
  }
}
