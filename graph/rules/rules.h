#pragma once

#include <string>
#include <vector>

#include "graph/ir/error.h"
#include "graph/ir/graph.h"

// What the compiler knows of an operator. Each operator defines `const OpRules rules_NAME` in
// graph/rules/ (a missing one is a link error).
namespace attune {

// Computes the dtypes and shapes of a node's outputs, and checks its inputs.
class InferContext {
 public:
  InferContext(const Graph& graph, const Node& node, const Shape* wanted)
      : graph_(graph), node_(node), wanted_(wanted) {}

  const Node& node() const { return node_; }
  bool has(int input) const { return node_.input(input) != kNone; }
  const Value& input(int i) const { return graph_.value(node_.input(i)); }
  const Shape& shape(int i) const { return input(i).shape; }
  DType dtype(int i) const { return input(i).dtype; }
  template <class A>
  const A& attrs() const {
    return node_.as<A>();
  }
  // The output shape that the caller asked for, or null.
  const Shape* wanted() const { return wanted_; }

  // Sets output `i`; operators set every output that they may have.
  void set(int i, DType dtype, Shape shape);
  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    fail_text(fmt::format(format, std::forward<Args>(args)...));
  }

  struct Output {
    DType dtype = DType::f32;
    Shape shape;
  };
  std::vector<Output> outputs;

 private:
  [[noreturn]] void fail_text(const std::string& text) const;  // names operator, node and shapes
  const Graph& graph_;
  const Node& node_;
  const Shape* wanted_;
};

// Emits the gradient of one node. `node` is a copy: emitting may move the graph's vectors.
class GradientContext {
 public:
  GradientContext(Graph& graph, NodeId node, std::vector<ValueId> output_grads,
                  std::vector<bool> needs);

  Graph& graph() { return graph_; }
  const Node& node() const { return node_; }
  ValueId x(int i) const { return node_.input(i); }
  ValueId y(int i = 0) const { return node_.output(i); }
  ValueId dy(int i = 0) const { return output_grads_[i]; }
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

struct OpRules {
  void (*infer)(InferContext& context);
  // Null for loss, metric, backward and update operators. The loss is differentiated by
  // graph/training/loss.cpp, which emits its gradient beside it.
  void (*gradient)(GradientContext& context);
};

const OpRules& op_rules(Op op);

#define OP(id, name, ...) extern const OpRules rules_##name;
#include "kernels/ops.def"
#undef OP

// Runs the operator's infer rule for a node of the graph, or one that is about to be: all outputs
// that the operator may have. `wanted` is as in Graph::make. Checks attributes and arity first.
std::vector<InferContext::Output> infer_outputs(const Graph& graph, const Node& node,
                                                const Shape* wanted);

// The dtype that a node computes in, which chooses its kernel: that of its first real output or
// input, or else the graph's.
DType compute_dtype(const Graph& graph, const Node& node);

std::string shape_text(const Shape& shape);  // "[1,3,224,224]"
std::string type_text(const Value& value);   // "f32[1,3,224,224]"

}  // namespace attune
