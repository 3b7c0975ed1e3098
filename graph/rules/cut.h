#pragma once

#include <cstdint>
#include <vector>

#include "graph/ir/graph.h"
#include "kernels/signature.h"

// The one question that slicing, pruning, layers and costs ask of an operator: if one axis of one
// operand is restricted to some places, what becomes of the others? Answered from the signature.
namespace attune {

// Operands are numbered inputs first, then outputs.
struct Cut {
  // False: never cut there.
  bool possible = false;
  // The places must be a range of windows; an input that bears the image's axis is then read in the
  // image rows of these windows.
  bool window = false;
  std::vector<int8_t> axis;  // by operand: the axis restricted with it; -1: whole
  uint32_t summed = 0;       // outputs (bit o) of which each piece gives one term
  uint32_t chained = 0;      // outputs over an input, of which each piece writes its part in turn
  uint32_t terms = 0;        // inputs (bit i) that only one of the pieces may have: a bias
};

// An operator's attributes and the shapes of its operands; null: absent.
struct Operation {
  Op op;
  const void* attrs = nullptr;
  std::vector<const Shape*> inputs, outputs;
};
Operation operation_of(const Graph& graph, const Node& node);

// Run on restricted inputs, the operator gives exactly the restricted outputs: for any places in
// any order where `window` is false, in the bits of the reference kernel; sums up to the order of
// their terms. Says nothing of what a cut is worth, nor of types: a piece of a mask starts at a
// byte, or is no view. Axes of size 1 are not cut, nor channels of several groups.
Cut cut(const Operation& operation, int operand, int axis);
Cut cut(const Graph& graph, const Node& node, int operand, int axis);
inline Cut cut_output(const Graph& graph, const Node& node, int output, int axis) {
  return cut(graph, node, static_cast<int>(node.inputs.size()) + output, axis);
}

// The axis of another operand that has the name of this one's, whether it can be cut there or not;
// -1: none.
int axis_alike(const Graph& graph, const Node& node, int operand, int axis, int other);

// Which axes of a layer's weight hold the channels of its input and of its output. Both -1 where
// the operator's operand is no weight of a layer: some of a weight's axes are missing in the
// output.
struct WeightAxes {
  int input = -1, output = -1;
  explicit operator bool() const { return output >= 0; }
};
WeightAxes weight_axes(Op op, int operand);

// Multiply-accumulates of one run: where a name is summed up, as many as all names have sizes
// together.
int64_t op_macs(const Graph& graph, const Node& node);

// The input with the name of a term that is added last, or -1: a layer's bias.
int bias_input(Op op);

}  // namespace attune
