// The command line of exatrkx-engine.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "../engine/engine.hpp"

namespace exatrkx {

struct Arguments {
  NetworkFiles networks;
  WorkingPoint cuts;
  std::string device = "cpu";
  int threads = 0;
  bool edges = false;
  bool help = false;
  std::vector<std::filesystem::path> events;
};

extern const char* const kUsage;

// Throws ContractError: an option is unknown, lacks its value or has a wrong one; or one that must be there is not.
[[nodiscard]] Arguments parse_arguments(const std::vector<std::string>& words);

}  // namespace exatrkx
