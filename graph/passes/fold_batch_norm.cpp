#include <cmath>
#include <map>

#include "graph/passes/passes.h"
#include "graph/rules/cut.h"

namespace attune {
namespace {

bool frozen(const Graph& graph, ValueId id) {
  const Value& value = graph.value(id);
  return value.role == Role::constant || (value.role == Role::parameter && !value.trained);
}

std::vector<double> reals(const Graph& graph, ValueId id) { return graph.value(id).data->reals(); }

struct Fold {
  NodeId layer = kNone, norm = kNone;
  // Backward: each batch_norm_grad_input with the grad_input of the layer that reads it.
  std::vector<std::pair<NodeId, NodeId>> backward;
};

// Whether a norm can be folded; fills in where. The layer's output must have no other reader, and
// the gradient between norm and layer no reader but the layer's grad_input.
bool find_fold(const Graph& graph, const std::vector<std::vector<NodeId>>& readers, NodeId norm,
               Fold* fold) {
  const Node& bn = graph.nodes[norm];
  const ValueId x = bn.inputs[0], gamma = bn.inputs[1];
  const NodeId layer = graph.value(x).producer;
  if (layer == kNone || !frozen(graph, gamma) || graph.is_output(x)) return false;
  for (int i : {3, 4})
    if (!frozen(graph, bn.inputs[i])) return false;
  const Node& node = graph.nodes[layer];
  const WeightAxes axes = weight_axes(node.op, 1);
  if (!axes || bias_input(node.op) < 0 || !frozen(graph, node.inputs[1])) return false;
  if (node.input(2) != kNone && !frozen(graph, node.inputs[2])) return false;
  if (node.output(1) != kNone || readers[x].size() != 1) return false;
  if (const ValueId beta = bn.inputs[2];
      !frozen(graph, beta) && graph.value(beta).role != Role::parameter)
    return false;
  // A norm that is shared by several places is left alone: its gradients could not be told apart.
  for (NodeId i : readers[gamma])
    if (graph.nodes[i].op == Op::batch_norm && i != norm && graph.nodes[i].inputs[1] == gamma)
      return false;
  *fold = {layer, norm, {}};
  for (NodeId i : readers[gamma]) {
    const Node& grad = graph.nodes[i];
    if (grad.op != Op::batch_norm_grad_input || grad.inputs[1] != gamma ||
        grad.inputs[2] != bn.inputs[4])
      continue;
    const ValueId dx = grad.outputs[0];
    if (graph.shape(dx) != graph.shape(x)) continue;
    for (NodeId reader : readers[dx]) {
      const Node& next = graph.nodes[reader];
      // Only what multiplies the channels of dx by the same channels of the same weight.
      if (next.inputs[0] != dx || next.input(1) != node.inputs[1] ||
          axis_alike(graph, next, 0, graph.shape(dx).rank - 1, 1) != axes.output)
        return false;
      fold->backward.emplace_back(i, reader);
    }
  }
  return true;
}

void apply(Graph& graph, const Fold& fold, std::map<NodeId, Node>* biases) {
  const Node bn = graph.nodes[fold.norm];
  const double epsilon = bn.as<BatchNormAttrs>().epsilon;
  Node& layer = graph.nodes[fold.layer];
  const ValueId old_weight = layer.inputs[1];
  const auto gamma = reals(graph, bn.inputs[1]);
  const auto mean = reals(graph, bn.inputs[3]);
  const auto var = reals(graph, bn.inputs[4]);
  const size_t channels = gamma.size();
  std::vector<double> scale(channels), bias(channels);
  for (size_t c = 0; c < channels; ++c) scale[c] = gamma[c] / std::sqrt(var[c] + epsilon);
  if (layer.input(2) != kNone) bias = reals(graph, layer.inputs[2]);
  for (size_t c = 0; c < channels; ++c) bias[c] = (bias[c] - mean[c]) * scale[c];

  // w' = w * scale, along the output channels.
  const Shape shape = graph.shape(old_weight);
  const int axis = weight_axes(layer.op, 1).output;
  const auto inner = static_cast<size_t>(shape.product(axis + 1, shape.rank));
  const std::string weight_name = graph.value(old_weight).name + ".folded";
  const ValueId weight =
      graph.add_known(weight_name, graph.real, shape,
                      graph.value(old_weight).data->scaled(std::move(scale), inner));

  const Shape vector{static_cast<int32_t>(channels)};
  const ValueId beta = bn.inputs[2];
  ValueId new_bias;
  if (frozen(graph, beta)) {
    const auto own = reals(graph, beta);
    for (size_t c = 0; c < channels; ++c) bias[c] += own[c];
    new_bias = graph.add_constant(bn.name + ".bias", vector, std::move(bias));
  } else {
    const ValueId rest = graph.add_constant(bn.name + ".rest", vector, std::move(bias));
    Node add = graph.make(Op::add, NoAttrs{}, {beta, rest}, bn.name + "/bias");
    new_bias = add.outputs[0];
    biases->emplace(fold.layer, std::move(add));
  }
  Node& node = graph.nodes[fold.layer];
  node.inputs = {node.inputs[0], weight, new_bias};
  node.outputs[0] = bn.outputs[0];
  graph.nodes[fold.norm].outputs.clear();  // marks it as gone
  for (const auto& [norm_grad, layer_grad] : fold.backward) {
    graph.nodes[layer_grad].inputs[0] = graph.nodes[norm_grad].inputs[0];
    graph.nodes[layer_grad].inputs[1] = weight;
    graph.nodes[norm_grad].outputs.clear();
  }
}

}  // namespace

void fold_batch_norm(Graph& graph) {
  graph.index();
  const auto readers = graph.readers();
  std::vector<Fold> folds;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    Fold fold;
    if (graph.nodes[i].op == Op::batch_norm &&
        find_fold(graph, readers, static_cast<NodeId>(i), &fold))
      folds.push_back(std::move(fold));
  }
  std::map<NodeId, Node> biases;  // by the layer that they go before
  for (const Fold& fold : folds) apply(graph, fold, &biases);

  std::vector<Node> nodes;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (const auto bias = biases.find(static_cast<NodeId>(i)); bias != biases.end())
      nodes.push_back(std::move(bias->second));
    if (!graph.nodes[i].outputs.empty()) nodes.push_back(std::move(graph.nodes[i]));
  }
  graph.nodes = std::move(nodes);
  graph.index();
}

}  // namespace attune
