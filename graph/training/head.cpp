#include "graph/training/head.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <utility>
#include <vector>

#include "engine/random.h"
#include "graph/ir/error.h"
#include "graph/rules/cut.h"
#include "graph/rules/rules.h"

namespace attune {
namespace {

// A normal number, by Box and Muller: the same everywhere, unlike <random>'s.
double normal(SplitMix64& bits) {
  const auto uniform = [&] {  // in (0, 1]
    return (static_cast<double>(bits.next() >> 11) + 1) * 0x1p-53;
  };
  const double u = uniform(), v = uniform();
  return std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v);
}

[[noreturn]] void fail(const Graph& graph, const std::string& why) {
  throw_error(
      "--classes: the model does not end in a replaceable classifier ({}); its output {} would "
      "need a linear layer or a convolution, followed only by what keeps the classes apart",
      why, graph.value(graph.outputs.front().value).name);
}

// Gives a parameter `classes` slices along axis 0 of our layout, zero or random.
ValueId fresh_parameter(Graph& graph, ValueId old_id, int classes, SplitMix64* bits) {
  Value value = graph.value(old_id);
  if (value.role != Role::parameter) fail(graph, "its weights are not the model's parameters");
  value.shape[0] = classes;
  const int axis = value.origin.perm[0];
  if (static_cast<size_t>(value.origin.view_shape.rank) != value.origin.model_shape.size())
    fail(graph, "its weights are reshaped");
  value.origin.view_shape[axis] = classes;
  value.origin.model_shape[static_cast<size_t>(axis)] = classes;
  value.fresh = true;
  value.producer = kNone;
  std::vector<double> reals(static_cast<size_t>(value.shape.elements()));
  // f32 precision, so that plans in f32 and f64 start alike.
  if (bits)
    for (double& x : reals) x = static_cast<float>(0.02 * normal(*bits));
  value.data = Data::of_reals(std::move(reals));
  // The old one is no parameter any more, and gives up its name.
  graph.value(old_id).role = Role::constant;
  graph.rename(old_id, value.name + ".replaced");
  return graph.add_value(std::move(value));
}

// What leads from a layer to the model's output.
struct Path {
  NodeId layer = kNone;
  std::vector<std::pair<NodeId, size_t>> behind;  // nodes, and their input on the path
};

// Walks back from the output to the last layer that has a weight.
Path find_head(const Graph& graph) {
  Path path;
  ValueId at = graph.outputs.front().value;
  for (;;) {
    const NodeId id = graph.value(at).producer;
    if (id == kNone) fail(graph, "no layer found");
    const Node& node = graph.nodes[id];
    if (node.op == Op::linear || node.op == Op::conv2d) {
      path.layer = id;
      std::reverse(path.behind.begin(), path.behind.end());
      return path;
    }
    std::optional<size_t> computed;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId input = node.inputs[i];
      if (input == kNone || graph.value(input).role != Role::temporary) continue;
      if (computed) fail(graph, fmt::format("node {} has two computed inputs", node.name));
      computed = i;
    }
    if (!computed) fail(graph, "no layer found");
    path.behind.emplace_back(id, *computed);
    at = node.inputs[*computed];
  }
}

// The axis of a node's output that has the classes, where that of its input is known.
int class_axis(const Graph& graph, const Node& node, size_t input, int axis) {
  const Shape &x = graph.shape(node.inputs[input]), &y = graph.shape(node.outputs[0]);
  switch (node.op) {
    case Op::transpose:
      for (int i = 0; i < y.rank; ++i)
        if (node.as<TransposeAttrs>().perm[i] == axis) return i;
      return -1;
    case Op::reduce:
      return (node.as<ReduceAttrs>().axes >> axis & 1) != 0 ? -1 : axis;
    case Op::reshape:
      // The first axis has the examples, of which there may be one, as of classes.
      for (int i = 1; i < y.rank; ++i)
        if (y[i] == x[axis] && y.product(0, i) == x.product(0, axis)) return i;
      return -1;
    case Op::slice:
    case Op::broadcast_to:
    case Op::concat:
    case Op::matmul:
      return -1;
    default:
      return axis_alike(graph, node, static_cast<int>(input), axis,
                        static_cast<int>(node.inputs.size()));
  }
}

}  // namespace

void replace_head(Graph& graph, int classes, uint64_t seed) {
  if (classes < 1) throw_error("--classes: {} is not positive", classes);
  graph.index();
  const Path path = find_head(graph);
  Node head = graph.nodes[path.layer];
  if (head.op == Op::conv2d && head.as<Conv2dAttrs>().groups != 1)
    fail(graph, fmt::format("convolution {} has groups", head.name));
  const auto readers = graph.readers();
  SplitMix64 bits(seed);
  const auto fresh = [&](ValueId old, bool random) {
    if (readers[static_cast<size_t>(old)].size() > 1)
      fail(graph, fmt::format("{} is another layer's, too", graph.value(old).name));
    return fresh_parameter(graph, old, classes, random ? &bits : nullptr);
  };
  int axis = axis_alike(graph, head, 1, weight_axes(head.op, 1).output,
                        static_cast<int>(head.inputs.size()));
  head.inputs[1] = fresh(head.inputs[1], true);
  if (head.input(2) != kNone) head.inputs[2] = fresh(head.inputs[2], false);

  // Everything from the layer on is rebuilt; what was there dies.
  ValueId scores = graph.emit(head.op, head.attrs, head.inputs, head.name);
  for (const auto& [id, input] : path.behind) {
    Node node = graph.nodes[id];  // a copy: emitting moves the graph's
    const int next = class_axis(graph, node, input, axis);
    if (next < 0) fail(graph, fmt::format("node {} ({}) comes last", node.name, op_name(node.op)));
    Shape shape = graph.shape(node.outputs[0]);
    shape[next] = classes;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (i == input || node.inputs[i] == kNone) continue;
      const int own = axis_alike(graph, node, static_cast<int>(input), axis, static_cast<int>(i));
      if (own < 0 || graph.shape(node.inputs[i])[own] == 1) continue;  // the same for all classes
      if (node.op != Op::add || graph.shape(node.inputs[i]).rank != 1)
        fail(graph, fmt::format("node {} has a number for each class", node.name));
      node.inputs[i] = fresh(node.inputs[i], false);
    }
    node.inputs[input] = scores;
    const bool shaped = node.op == Op::reshape;
    scores = graph.emit(node.op, node.attrs, node.inputs, node.name, shaped ? &shape : nullptr);
    axis = next;
  }
  graph.outputs.resize(1);
  graph.outputs.front().value = scores;
}

}  // namespace attune
