#include "arguments.hpp"

#include <charconv>
#include <fstream>
#include <iterator>
#include <map>
#include <string_view>

#include "../engine/errors.hpp"
#include "../engine/json.hpp"
#include "../engine/process.hpp"

namespace exatrkx {

const char* const kUsage =
    "usage: exatrkx-engine --embed FILE --filter FILE --gnn FILE --working-point FILE [options] EVENT.csv ...\n"
    "\n"
    "Finds the tracks of events and prints the label of each spacepoint, a line each, after a line '# EVENT.csv'.\n"
    "An event is a file with a line 'r/1000 mm,phi/pi,z/1000 mm' for each spacepoint, without a header.\n"
    "\n"
    "  --embed, --filter, --gnn FILE   TorchScript networks\n"
    "  --working-point FILE            JSON: radius, max_neighbors, filter_cut, gnn_cut, min_hits, max_edges, track_building\n"
    "                                  and those of track completion\n"
    "  --device DEVICE                 cpu (default), or cuda:N where it was built for CUDA\n"
    "  --threads N                     default: OMP_NUM_THREADS, or the usable processors\n"
    "  --edges                         after the labels, a line 'i,j,logit' for each edge that the GNN scored\n";

namespace {

WorkingPoint read_working_point(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream || std::filesystem::is_directory(file)) throw ContractError(file.string() + ": cannot be read");
  const std::string content{std::istreambuf_iterator<char>(stream), {}};
  std::map<std::string, std::string, std::less<>> texts;
  try {
    const picojson::value json = parse_json(content);
    if (!json.is<picojson::object>()) throw ContractError("expected an object of JSON");
    for (const auto& [name, value] : json.get<picojson::object>()) texts[name] = value.to_str();
  } catch (const ContractError& error) {
    throw ContractError(file.string() + ": " + error.what());
  }
  for (const char* name : {"radius", "max_neighbors", "filter_cut", "gnn_cut"}) {
    if (!texts.contains(name)) throw ContractError(file.string() + ": no field " + name);
  }
  return WorkingPoint::from_texts(texts, file.string());
}

int positive(const std::string& option, const std::string& text) {
  int value = 0;
  const auto result = std::from_chars(text.data(), text.data() + text.size(), value);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size() || value < 1) {
    throw ContractError(option + ": expected a positive number, found '" + text + "'");
  }
  return value;
}

}  // namespace

Arguments parse_arguments(const std::vector<std::string>& words) {
  Arguments arguments;
  std::map<std::string, std::string, std::less<>> values{{"--embed", ""},         {"--filter", ""}, {"--gnn", ""},
                                                         {"--working-point", ""}, {"--device", ""}, {"--threads", ""}};
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--help" || word == "-h") {
      arguments.help = true;
      return arguments;
    }
    if (word == "--edges") {
      arguments.edges = true;
    } else if (values.contains(word)) {
      if (i + 1 == words.size()) throw ContractError(word + ": expected a value");
      values[word] = words[++i];
    } else if (word.starts_with("-")) {
      throw ContractError(word + ": no such option; --help lists them");
    } else {
      arguments.events.emplace_back(word);
    }
  }
  for (const char* name : {"--embed", "--filter", "--gnn", "--working-point"}) {
    if (values[name].empty()) throw ContractError(std::string(name) + " is missing; --help says what it is");
  }
  arguments.networks = {values["--embed"], values["--filter"], values["--gnn"]};
  arguments.cuts = read_working_point(values["--working-point"]);
  if (!values["--device"].empty()) arguments.device = values["--device"];
  arguments.threads = values["--threads"].empty() ? default_threads() : positive("--threads", values["--threads"]);
  return arguments;
}

}  // namespace exatrkx
