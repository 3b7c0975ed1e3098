#include "sparse_update/layers.h"

#include <algorithm>
#include <variant>

#include "graph/rules/cut.h"

namespace attune {
namespace {

bool is_parameter(const Graph& graph, ValueId id) {
  return id != kNone && graph.value(id).role == Role::parameter;
}

// The parameters that a matrix is put together from: exporters write the gates of a recurrent layer
// in another order.
void add_parts(const Graph& graph, ValueId id, std::vector<ValueId>* parts) {
  const NodeId maker = id == kNone ? kNone : graph.value(id).producer;
  if (is_parameter(graph, id) && graph.shape(id).rank > 1) {
    if (std::find(parts->begin(), parts->end(), id) == parts->end()) parts->push_back(id);
  } else if (maker != kNone) {
    const Node& node = graph.nodes[maker];
    if (node.op == Op::concat || node.op == Op::slice || node.op == Op::reshape)
      for (ValueId part : node.inputs) add_parts(graph, part, parts);
  }
}

// The weights of a layer that are parameters; of those that it computes, which it has not already.
std::vector<ValueId> weights_of(const Graph& graph, ValueId weight, const WeightAxes& axes,
                                const std::vector<Layer>& before) {
  if (is_parameter(graph, weight)) return {weight};
  std::vector<ValueId> parts;
  const Shape& shape = graph.shape(weight);
  if (axes.input == shape.rank - 1 && axes.output == shape.rank - 2)
    add_parts(graph, weight, &parts);
  std::erase_if(parts, [&](ValueId part) {
    const auto same = [&](const Layer& layer) { return layer.weight == part; };
    return graph.shape(part).last() != shape.last() ||
           std::any_of(before.begin(), before.end(), same);
  });
  return parts;
}

// Follows the output of a layer to the batch norm or bias addition that belongs to it.
void add_epilogue(const Graph& graph, const std::vector<std::vector<NodeId>>& readers, ValueId y,
                  Layer* layer) {
  for (int hops = 0; hops < 4 && readers[y].size() == 1; ++hops) {
    const Node& next = graph.nodes[readers[y].front()];
    if (next.op == Op::batch_norm) {
      if (is_parameter(graph, next.inputs[1])) layer->gamma = next.inputs[1];
      if (is_parameter(graph, next.inputs[2])) layer->beta = next.inputs[2];
      return;
    }
    if (next.op == Op::add && layer->own_bias == kNone) {
      for (ValueId side : next.inputs)
        if (side != y && is_parameter(graph, side) &&
            graph.shape(side).elements() == graph.shape(side).last())
          layer->own_bias = side;
      return;
    }
    if (next.op != Op::reshape && next.op != Op::transpose) return;
    y = next.outputs[0];
  }
}

}  // namespace

std::vector<bool> reaching_output(const Graph& graph) {
  std::vector<bool> reaching(graph.values.size());
  if (!graph.outputs.empty()) reaching[graph.outputs.front().value] = true;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node)
    for (ValueId out : node->outputs)
      if (out != kNone && reaching[out])
        for (ValueId in : node->inputs)
          if (in != kNone && is_real(graph.value(in).dtype)) reaching[in] = true;
  return reaching;
}

std::vector<std::string> parameters_of_other_outputs(const Graph& graph) {
  const std::vector<bool> reaching = reaching_output(graph);
  const auto readers = graph.readers();
  std::vector<std::string> names;
  for (size_t i = 0; i < graph.values.size(); ++i)
    if (graph.values[i].role == Role::parameter && !reaching[i] && !readers[i].empty())
      names.push_back(graph.values[i].origin.tensor);
  return names;
}

std::vector<Layer> find_layers(const Graph& graph) {
  std::vector<Layer> layers;
  const auto readers = graph.readers();
  const std::vector<bool> reaching = reaching_output(graph);
  for (const Node& node : graph.nodes) {
    const WeightAxes axes = weight_axes(node.op, 1);
    // Of a recurrent layer, perhaps the last state alone.
    const auto reaches = [&](ValueId id) { return id != kNone && reaching[id]; };
    if (!axes || std::none_of(node.outputs.begin(), node.outputs.end(), reaches)) continue;
    const std::vector<ValueId> weights = weights_of(graph, node.inputs[1], axes, layers);
    if (weights.empty()) continue;
    Layer layer;
    layer.name = node.name;
    layer.grouped = std::visit(
        [](const auto& attrs) {
          if constexpr (requires { attrs.groups; }) return attrs.groups > 1;
          return false;
        },
        node.attrs);
    const int bias = bias_input(node.op);
    if (bias >= 0 && is_parameter(graph, node.input(bias))) layer.own_bias = node.input(bias);
    add_epilogue(graph, readers, node.outputs[0], &layer);
    layer.bias = layer.own_bias != kNone ? layer.own_bias : layer.beta;
    for (const ValueId weight : weights) {
      // Put together, it may have fewer axes in front.
      const int missing = graph.shape(node.inputs[1]).rank - graph.shape(weight).rank;
      layer.weight = weight;
      layer.input_axis = axes.input - missing;
      layer.output_axis = axes.output - missing;
      layers.push_back(layer);
    }
  }
  return layers;
}

}  // namespace attune
