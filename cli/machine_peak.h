#pragma once

#include <cstddef>
#include <vector>

#include "attune/dtype.h"

namespace attune::cli {

// What this machine can do, measured now: the roof that a step's speed is held against.
struct MachinePeak {
  struct Compute {
    int threads;
    double gflops;  // multiply-adds of registers alone, two operations each
  };
  struct Memory {
    size_t bytes;      // of all threads together
    double read_gb_s;  // adding them up
    double copy_gb_s;  // scaling one half into the other; both halves count
    double gb_s() const { return read_gb_s > copy_gb_s ? read_gb_s : copy_gb_s; }
  };

  const char* instructions = "";  // avx512f, avx2+fma or baseline
  std::vector<Compute> compute;   // 1, 2, 4 .. as many threads as asked for
  std::vector<Memory> memory;     // with all of these threads, by size

  // With as many threads as are best.
  double gflops() const;
  // Of the smallest measured working set that holds so many bytes, else of the largest.
  double gb_s(size_t bytes) const;
};

// Takes the best of several short runs of each, since other programs only ever slow one down: a few
// seconds in all. `real`: the type to compute in, f32 or f64.
MachinePeak measure_machine(int threads, DType real);

}  // namespace attune::cli
