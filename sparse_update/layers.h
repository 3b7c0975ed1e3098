#pragma once

#include <string>
#include <vector>

#include "graph/ir/graph.h"

namespace attune {

// A layer as schemes count them: a convolution or matrix product with a parameter for its weight,
// in the order of execution, the classifier last.
struct Layer {
  std::string name;
  Op op = Op::conv2d;
  bool grouped = false;  // a convolution in groups that is not depthwise
  ValueId weight = kNone;
  ValueId bias = kNone;  // its own, else the beta of the batch norm after it; kNone: neither
  ValueId own_bias = kNone, gamma = kNone, beta = kNone;

  // Axis of our weight layout that holds the input or the output channels.
  int input_axis() const { return op == Op::conv2d ? 3 : op == Op::linear ? 1 : 2; }
  int output_axis() const { return op == Op::depthwise_conv2d ? 2 : 0; }
};

// The layers of a forward graph. The last one is the classifier ("head").
std::vector<Layer> find_layers(const Graph& graph);

}  // namespace attune
