#pragma once

#include "sparse_update/cost/representative.h"
#include "sparse_update/cost/target.h"
#include "tests/support/compiled_plan.h"

namespace attune::test {

// 100 GFLOP/s and 10 GB/s, whatever the working set; 1 us a step; no points.
inline Target flat_target(int threads) {
  Target target;
  target.name = "flat";
  target.threads = threads;
  target.gflop_s = 100;
  target.bandwidth = {{1e6, 10}};
  target.step_us = 1;
  return target;
}

// Some 17 layers with batch norms and residual additions.
inline ModelPtr small_network() { return mobile_network({16, {8, 16}, 3, 3, 2, true, false}); }

}  // namespace attune::test
