#pragma once

#include <string>
#include <vector>

#include "attune/tensor.h"
#include "graph/ir/error.h"
#include "graph/ir/graph.h"

// What the compiler knows of an operator beside its signature. Each forward operator defines its
// gradient, `void gradient_NAME(GradientContext& g)`, in graph/rules/ (a missing one is a link
// error).
namespace attune {

// The types and shapes of the outputs that a node of the graph, or one that is about to be, may
// have; no data. Fails where arity, attributes or inputs do not fit the operator's signature.
// `wanted` is as in Graph::make.
std::vector<Tensor> infer_outputs(const Graph& graph, const Node& node, const Shape* wanted);

// Emits the gradient of one node. `node` is a copy: emitting may move the graph's vectors.
class GradientContext {
 public:
  GradientContext(Graph& graph, NodeId node, std::vector<ValueId> output_grads,
                  std::vector<bool> needs);

  Graph& graph() { return graph_; }
  const Node& node() const { return node_; }
  ValueId x(int i) const { return node_.input(i); }
  ValueId y(int i = 0) const { return node_.output(i); }
  // Of output i, or kNone.
  ValueId dy(int i = 0) const {
    return i < static_cast<int>(output_grads_.size()) ? output_grads_[i] : kNone;
  }
  // Whether the gradient of input i is wanted. Rules emit nothing for the others.
  bool needs(int i) const { return i < static_cast<int>(needs_.size()) && needs_[i]; }
  // Output i of the forward node, made if it is an optional one that nobody wanted yet.
  ValueId saved(int i);
  // The gradient of input i (which `needs`). Must have input i's shape.
  void set(int i, ValueId grad);

  // Emits a node named after the forward node: "layer1.conv/grad_weight" with suffix "grad_weight".
  ValueId emit(Op op, AnyAttrs attrs, std::vector<ValueId> inputs, const char* suffix,
               const Shape* shape = nullptr);
  // Shapes by value: those of the graph move when it grows.
  ValueId reshape(ValueId x, Shape shape);
  // Sums x over the axes along which `shape` was broadcast to x's shape, giving `shape`.
  ValueId reduce_to(ValueId x, Shape shape);

  std::vector<ValueId> input_grads;

 private:
  Graph& graph_;
  NodeId id_;
  Node node_;
  std::vector<ValueId> output_grads_;
  std::vector<bool> needs_;
};

using GradientRule = void (*)(GradientContext& g);

// Null for all but forward operators, and flat ones let no gradient through. The loss is
// differentiated by graph/training/loss.cpp, which emits its gradient beside it.
GradientRule gradient_rule(Op op);
// Whether a node has one: those of the user's own operators may not.
bool has_gradient(const Node& node);

#define OP(id, name, ...) void gradient_##name(GradientContext& g);
#include "kernels/ops.def"
#undef OP

// The dtype that a node computes in, which chooses its kernel: that of its first real output or
// input, or else the graph's.
DType compute_dtype(const Graph& graph, const Node& node);

std::string shape_text(const Shape& shape);                   // "[1,3,224,224]"
std::string type_text(const Value& value);                    // "f32[1,3,224,224]"
std::string op_text(const Node& node);                        // "add", or a user's own by its name
std::string node_text(const Graph& graph, const Node& node);  // "add 'sum' of (f32[2], f32[2])"

}  // namespace attune
