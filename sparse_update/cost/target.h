#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/kernel.h"

namespace attune {

// A step that was measured on a machine, or a rate that somebody knows of one.
struct RatePoint {
  Op op = Op::reshape;
  std::optional<Backend> backend;   // absent: any
  std::optional<std::string> kind;  // StepWork::kind; absent: any
  std::string shape;                // StepWork::shape; empty: of no shape in particular
  uint64_t macs = 0;
  uint64_t bytes = 0;
  double us = 0;
  uint64_t program_bytes = 0;  // StepWork::program_bytes; 0: of no program in particular
};

// A machine, as far as costs need it. A JSON file describes one; docs/targets.md has the format.
struct Target {
  struct Bandwidth {
    double bytes;  // working set
    double gb_s;
  };

  std::string name;
  int threads = 1;
  double gflop_s = 0;                // multiply-adds in registers, two operations each
  std::vector<Bandwidth> bandwidth;  // by growing working set
  double step_us = 0;                // the least that any step takes
  std::vector<RatePoint> points;

  // Interpolated in log space; beyond the ends, that of the end.
  double gb_s(double bytes) const;
  // The least time of so much work: arithmetic or traffic, whichever takes longer, and step_us.
  double roofline_us(uint64_t macs, uint64_t bytes) const;
};

// Reads a target's file. Throws Error naming the file, the key and what is there instead.
Target read_target(const std::string& path);
// The file's text, a line a point.
std::string target_text(const Target& target);

}  // namespace attune
