#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace attune::cli {

// The schemes that a search found to be the best for their memory and for their time, as
// `attune search --front` writes them.
struct SchemeFront {
  struct Point {
    double gain = 0;
    std::optional<double> predicted;  // accuracy or loss, where the search predicts it
    double memory = 0, ms = 0, macs = 0;
    std::string scheme;  // JSON
  };
  std::string unit;  // of gains: "accuracy", "loss" or "fisher"
  Point chosen;
  std::vector<Point> by_memory, by_time;
};

// Throws Error where the file is none.
SchemeFront read_front(const std::string& path);

// Both fronts, with the chosen scheme and the memory of the plan that is looked at.
std::string front_section(const SchemeFront& front, uint64_t plan_memory);

}  // namespace attune::cli
