#pragma once

#include <string>
#include <vector>

#include "graph/ir/graph.h"

namespace attune {

// A layer as schemes count them: a convolution or matrix product with a parameter for its weight,
// in the order of execution, the classifier last. A recurrent layer is two: the product of its
// input, without bias, and that of its state, with all its biases.
struct Layer {
  std::string name;
  bool grouped = false;  // a convolution in groups that is not depthwise
  ValueId weight = kNone;
  ValueId bias = kNone;  // its own, else the beta of the batch norm after it; kNone: neither
  ValueId own_bias = kNone, gamma = kNone, beta = kNone;
  // Axes of our weight layout with the input and the output channels; depthwise, these are one.
  int input_axis = 0, output_axis = 0;
};

// The layers of a forward graph. The last one is the classifier ("head").
std::vector<Layer> find_layers(const Graph& graph);

// Of each value, whether the model's first output is computed from it by real numbers, so that what
// is learned from that output can change it.
std::vector<bool> reaching_output(const Graph& graph);

// Names of the parameters that only other outputs depend on.
std::vector<std::string> parameters_of_other_outputs(const Graph& graph);

}  // namespace attune
