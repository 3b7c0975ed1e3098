#pragma once

#include <cstdint>
#include <vector>

#include "attune/plan.h"

namespace attune::cli {

// Bytes of the arena from the step that writes them to the last one that reads them. Step -1 is
// before the first; the number of steps, after the last.
struct HeldBytes {
  uint64_t begin = 0, end = 0;
  int first = 0, last = 0;
  bool handed_over = false;  // the step after `last` reads them while it overwrites them
};

// What one step, or the caller before the first, writes as one tensor.
struct ArenaContent {
  int32_t tensor = 0;  // of the program
  int step = -1;
  std::vector<HeldBytes> held;  // parts that are read for the last time at different steps
  std::vector<int> readers;     // steps, in order; the number of steps: the caller
};

// Who reads what, and which bytes of the arena hold something at which step: found by following
// the program's addresses, so that it is true of the plan whatever made it. Views, rows inside
// other tensors and buffers that are filled again come out as what they are, bytes.
struct ArenaTrace {
  struct Read {
    int input;    // of the step
    int content;  // index into `contents`
  };
  std::vector<ArenaContent> contents;
  std::vector<std::vector<Read>> reads;  // by step
  std::vector<uint64_t> live;  // bytes, by step + 1, from before the first to after the last

  // Where most bytes are alive, as a step.
  int peak_step() const;
  std::vector<int> alive_at(int step) const;  // contents, the largest first
  uint64_t bytes_at(int content, int step) const;
};

ArenaTrace trace_arena(const format::Program& program);

}  // namespace attune::cli
