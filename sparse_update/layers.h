#pragma once

#include <string>
#include <vector>

#include "graph/ir/graph.h"

namespace attune {

// A layer as schemes count them: one weight, however often it is used, and what belongs to it. A
// weight is a parameter that a convolution, a matrix product or a look-up of rows works with,
// perhaps transposed, reshaped or put together from its parts. A recurrent layer is two: the
// product of its input, without bias, and that of its state, with all its biases. Every other
// parameter (a norm's scale and bias, a slope, a position's embedding) belongs to a layer, too.
struct Layer {
  std::string name;      // that of its first node; see layer_names.h
  std::string block;     // of which repeated part of the model it is, "encoder.layer.3"; or none
  Op op = Op::linear;    // what works with the weight
  bool grouped = false;  // a convolution in groups that is not depthwise
  bool joins = false;    // what it gives is added to what goes past it: a branch ends with it
  ValueId weight = kNone;
  ValueId bias = kNone;         // its own, else the beta of the batch norm after it; kNone: neither
  std::vector<ValueId> biases;  // that one, and those of the norms that belong to the layer
  std::vector<ValueId> others;  // all else that belongs to it
  // Axes of our weight layout with the input and the output channels; depthwise, these are one.
  // -1: its channels are no axis of it.
  int input_axis = 0, output_axis = 0;
  std::vector<NodeId> nodes;  // that work with the weight, the first one first

  std::vector<ValueId> parameters() const;  // the weight first
};

// The layers of a forward graph in the order of execution. The last one is the classifier
// ("head"), and what belongs to it is its weight, its bias and the batch norm after it.
// `of_all_outputs`: those, too, that the model's first output does not depend on.
std::vector<Layer> find_layers(const Graph& graph, bool of_all_outputs = false);

// Of each value, whether the model's first output is computed from it by real numbers, so that what
// is learned from that output can change it.
std::vector<bool> reaching_output(const Graph& graph);

// Names of the parameters that only other outputs depend on.
std::vector<std::string> parameters_of_other_outputs(const Graph& graph);

}  // namespace attune
