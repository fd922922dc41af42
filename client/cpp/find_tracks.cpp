// Track finding for one event in a CSV file: a header with x, y and z, in mm, and the names of whatever columns the served
// networks take beside them; prints a label for each row.
#include <algorithm>
#include <charconv>
#include <cstdint>
#include <exception>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "tracking_client.hpp"

namespace {

enum ExitCode { kDone = 0, kFailed = 1, kUsage = 2, kServer = 3 };  // as those of every command: exatrkx/errors.py

constexpr const char* kHelp =
    "usage: find_tracks EVENT.csv [--url HOST:PORT] [--model NAME] [--timeout SECONDS] [--retry-for SECONDS]\n"
    "Prints a label for each spacepoint of the file: -1 on no track, else the number of its track.\n"
    "The file's header names x, y and z in mm, and the columns that the served networks take beside them.\n"
    "Example: find_tracks event000000001-spacepoint.csv --url 127.0.0.1:8001\n"
    "EXATRKX_TLS_CA, EXATRKX_TLS_CERT, EXATRKX_TLS_KEY and EXATRKX_TOKEN_FILE name files for grpcs://... and a token.\n"
    "Exit codes: 0 done, 1 failed, 2 command line, file or event at fault, 3 the server.\n";

std::vector<std::string_view> cells(std::string_view line) {
  constexpr const char* kIgnored = " \t\r\"";
  std::vector<std::string_view> found;
  for (bool more = true; more;) {
    const std::size_t comma = line.find(',');
    std::string_view cell = line.substr(0, comma);
    const std::size_t first = std::min(cell.find_first_not_of(kIgnored), cell.size());
    found.push_back(cell.substr(first, cell.find_last_not_of(kIgnored) + 1 - first));
    more = comma != std::string_view::npos;
    if (more) line.remove_prefix(comma + 1);
  }
  return found;
}

float number(std::string_view cell, const std::string& place) {
  float value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size()) {
    throw std::invalid_argument(place + ": not a number: '" + std::string(cell) + "'");
  }
  return value;
}

// A file's cells, which point into its text, row by row; and the number of each row, blank ones counted.
struct Table {
  std::string file, text;
  std::vector<std::string_view> header, cells;
  std::vector<std::size_t> numbers;

  [[nodiscard]] bool has(std::string_view name) const {
    return std::find(header.begin(), header.end(), name) != header.end();
  }

  [[nodiscard]] std::vector<float> column(std::string_view name) const {
    const std::size_t place = std::find(header.begin(), header.end(), name) - header.begin();
    std::vector<float> values;
    values.reserve(numbers.size());
    for (std::size_t row = 0; row < numbers.size(); ++row) {
      values.push_back(number(cells[row * header.size() + place], file + ": row " + std::to_string(numbers[row])));
    }
    return values;
  }
};

Table read_table(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  Table table{file, {std::istreambuf_iterator<char>(stream), {}}, {}, {}, {}};
  if (table.text.empty()) throw std::invalid_argument(file + ": cannot be read, or is empty");
  std::string_view rest = table.text;
  for (std::size_t row = 1; !rest.empty(); ++row) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const std::vector<std::string_view> found = cells(line);
    if (row == 1) {
      table.header = found;
      if (!table.has("x") || !table.has("y") || !table.has("z")) {
        throw std::invalid_argument(file + ": the header has no columns x, y and z");
      }
    } else if (line.find_first_not_of(" \t\r") != std::string_view::npos) {
      const std::string place = file + ": row " + std::to_string(row);
      if (found.size() != table.header.size()) {
        throw std::invalid_argument(place + ": not as many cells as the header has");
      }
      table.cells.insert(table.cells.end(), found.begin(), found.end());
      table.numbers.push_back(row);
    }
  }
  return table;
}

std::vector<std::int64_t> labels_of(const Table& table, const exatrkx::TrackingClient& client) {
  const std::vector<float> x = table.column("x"), y = table.column("y"), z = table.column("z");
  std::vector<exatrkx::Spacepoint> spacepoints;
  spacepoints.reserve(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) spacepoints.push_back({x[i], y[i], z[i]});
  exatrkx::Columns columns;
  if (table.header.size() > exatrkx::kPositionColumns) {
    for (const auto& [name, scale] : client.extra_features()) {
      if (table.has(name)) columns[name] = table.column(name);
    }
  }
  return client.find_tracks(spacepoints, columns);
}

struct Arguments {
  std::string file, url = "127.0.0.1:8001";
  exatrkx::Options options;
};

Arguments parse(const std::vector<std::string>& words) {
  Arguments found;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (!word.starts_with("--")) {
      if (!found.file.empty()) throw std::invalid_argument("one file at a time, found another: " + word);
      found.file = word;
      continue;
    }
    if (i + 1 == words.size()) throw std::invalid_argument(word + ": an option with a value");
    const std::string& value = words[++i];
    const auto milliseconds = [&] {
      const float seconds = number(value, word);
      if (!(seconds >= 0 && seconds < 1e6F)) throw std::invalid_argument(word + ": must be from 0 to a million seconds");
      return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
    };
    if (word == "--url") {
      found.url = value;
    } else if (word == "--model") {
      found.options.model = value;
    } else if (word == "--timeout") {
      found.options.timeout = milliseconds();
    } else if (word == "--retry-for") {
      found.options.retry_for = milliseconds();
    } else {
      throw std::invalid_argument("unknown option: " + word);
    }
  }
  if (found.file.empty()) throw std::invalid_argument("which file? see --help");
  return found;
}

int run(const std::vector<std::string>& words) {
  if (words == std::vector<std::string>{"--help"}) {
    std::cout << kHelp;
    return kDone;
  }
  const auto [file, url, options] = parse(words);
  const exatrkx::TrackingClient client(url, options);
  const Table table = read_table(file);
  for (const std::int64_t label : labels_of(table, client)) std::cout << label << '\n';
  if (!std::cout.flush()) throw std::runtime_error("standard output cannot be written");
  return kDone;
}

}  // namespace

int main(int count, char** words) {
  int code = kFailed;
  std::string reason;
  try {
    return run({words + 1, words + count});
  } catch (const exatrkx::Error& error) {
    code = error.kind() == exatrkx::Error::Kind::rejected ? kUsage : kServer;
    reason = error.what();
  } catch (const std::invalid_argument& error) {
    code = kUsage;
    reason = error.what();
  } catch (const std::exception& error) {
    reason = error.what();
  }
  std::cerr << "find_tracks: " << reason << '\n';
  return code;
}
