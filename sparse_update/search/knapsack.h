#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "sparse_update/sensitivity/space.h"

namespace attune {

// What is counted: bytes of memory, and the time of a training step in any unit.
inline constexpr int kAmounts = 2;
using Amounts = std::array<int64_t, kAmounts>;
inline constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

// Schemes whose cost adds up: that of training k biases, and on top that of each weight option.
// Weights are trained within the last k layers only, so that the backward pass is as deep as the
// biases take it and every option's cost is its own.
struct SeparableProblem {
  struct Option {
    double gain = 0;
    Amounts cost = {};  // may be negative: a trained weight is not packed
  };
  std::vector<double> bias_gain;             // [k], k = 0 .. layers
  std::vector<Amounts> bias_cost;            // [k]
  std::vector<std::vector<Option>> options;  // [layer]
};

struct Solution {
  SchemePoint point;
  double gain = 0;
  Amounts cost = {};
};

struct KnapsackResult {
  // No solution here is beaten by another in gain and in all amounts that are limited or asked
  // for; the cheapest first.
  std::vector<Solution> front;
  bool exact = true;  // false: there were too many partial solutions, and some were left out
};

// The front of a problem over the amounts i with `counts[i]`, within the limits. By dynamic
// programming over the layers from the last to the first, which serves every k at once; partial
// solutions that another beats are dropped. Exact up to `most` partial solutions.
KnapsackResult knapsack_front(const SeparableProblem& problem, const Amounts& limits,
                              const std::array<bool, kAmounts>& counts, size_t most = 100'000);

// The solution of the largest gain within the limits for every k; empty where none fits.
std::vector<std::optional<Solution>> knapsack_best(const SeparableProblem& problem,
                                                   const Amounts& limits, bool* exact = nullptr,
                                                   size_t most = 100'000);

}  // namespace attune
