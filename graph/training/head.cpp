#include "graph/training/head.h"

#include <cmath>
#include <numbers>
#include <optional>

#include "engine/random.h"
#include "graph/ir/error.h"
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
      "need a linear layer or a 1x1 convolution followed only by reshapes or softmax",
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

}  // namespace

void replace_head(Graph& graph, int classes, uint64_t seed) {
  if (classes < 1) throw_error("--classes: {} is not positive", classes);
  graph.index();
  // Walks back from the output to the last layer.
  ValueId at = graph.outputs.front().value;
  std::optional<Op> ending;
  NodeId bias_add = kNone, layer = kNone;
  while (layer == kNone) {
    const NodeId id = graph.value(at).producer;
    if (id == kNone) fail(graph, "no layer found");
    const Node& node = graph.nodes[id];
    const auto is_bias = [&](ValueId v) {
      return graph.value(v).role == Role::parameter && graph.shape(v).rank == 1;
    };
    switch (node.op) {
      case Op::softmax:
      case Op::log_softmax:
      case Op::sigmoid:
        ending = node.op;
        at = node.inputs[0];
        break;
      case Op::reshape:
      case Op::transpose:
        at = node.inputs[0];
        break;
      case Op::add:
        if (bias_add != kNone || is_bias(node.inputs[0]) == is_bias(node.inputs[1]))
          fail(graph, fmt::format("node {} adds to it", node.name));
        bias_add = id;
        at = node.inputs[is_bias(node.inputs[0]) ? 1 : 0];
        break;
      case Op::linear:
      case Op::conv2d:
        layer = id;
        break;
      default:
        fail(graph, fmt::format("node {} ({}) comes last", node.name, op_name(node.op)));
    }
  }
  Node head = graph.nodes[layer];
  // Copies: adding values moves the graph's.
  const Shape w = graph.shape(head.inputs[1]);
  const Shape y = graph.shape(head.outputs[0]);
  if (head.op == Op::conv2d &&
      (w[1] != 1 || w[2] != 1 || y[1] != 1 || y[2] != 1 || head.as<Conv2dAttrs>().groups != 1))
    fail(graph, fmt::format("convolution {} is not 1x1 on a 1x1 image", head.name));

  SplitMix64 bits(seed);
  head.inputs[1] = fresh_parameter(graph, head.inputs[1], classes, &bits);
  if (head.input(2) != kNone)
    head.inputs[2] = fresh_parameter(graph, head.inputs[2], classes, nullptr);

  // Everything from the layer on is rebuilt; what was there dies.
  ValueId scores = graph.emit(head.op, head.attrs, head.inputs, head.name);
  scores = graph.reshape(scores, Shape{y[0], classes}, head.name + "/flat");
  if (bias_add != kNone) {
    const Node add = graph.nodes[bias_add];
    const int side = graph.value(add.inputs[0]).role == Role::parameter ? 0 : 1;
    const ValueId bias = fresh_parameter(graph, add.inputs[side], classes, nullptr);
    scores = graph.emit(Op::add, NoAttrs{}, {scores, bias}, add.name);
  }
  if (ending) scores = graph.emit(*ending, NoAttrs{}, {scores}, op_name(*ending));
  graph.outputs.resize(1);
  graph.outputs.front().value = scores;
}

}  // namespace attune
