#pragma once

#include <cstdint>
#include <vector>

namespace attune {

// Which of a classifier's outputs each class of the data is, told by what it predicts.
struct ClassMatch {
  std::vector<int32_t> output_of;  // by class of the data; every output at most once
  double agreement = 0;            // the share of the examples that are predicted as their class
  // Whether at least half agree, and more than for any of many shuffled labellings: then the
  // classifier knows these classes.
  bool certain = false;
};

// `labels`: of every example its class in the data, 0 .. classes - 1; `probabilities`: of every
// example those of all outputs, of which there are at least as many as classes.
ClassMatch match_classes(const std::vector<int32_t>& labels,
                         const std::vector<std::vector<double>>& probabilities, int32_t classes);

}  // namespace attune
