#include "tests/cost/extra_memory.h"

#include "sparse_update/layers.h"

namespace attune {
namespace {

const TrainedSlice* find_slice(const Graph& graph, const Scheme& scheme, ValueId parameter) {
  if (parameter == kNone) return nullptr;
  for (const TrainedSlice& slice : scheme.slices)
    if (slice.parameter == graph.value(parameter).origin.tensor) return &slice;
  return nullptr;
}

const Node& node_of(const Graph& graph, const Layer& layer) {
  for (const Node& node : graph.nodes)
    if (node.input(1) == layer.weight) return node;
  return graph.nodes.front();  // a layer is made of a node
}

int64_t elements_of_example(const Shape& shape) { return shape.product(1, shape.rank); }

// The part of a tensor that a slice keeps, where the tensor has the slice's channels.
int64_t kept(int64_t elements, const TrainedSlice& slice, int64_t channels) {
  return slice.axis < 0 ? elements
                        : elements / channels * static_cast<int64_t>(slice.channels.size());
}

}  // namespace

ExtraMemory extra_memory(const Graph& forward, const Scheme& scheme) {
  ExtraMemory memory;
  const auto layers = find_layers(forward);
  for (size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = layers[i];
    const Node& node = node_of(forward, layer);
    const Shape &x = forward.shape(node.inputs[0]), &y = forward.shape(node.outputs[0]);
    const Shape& w = forward.shape(layer.weight);
    const TrainedSlice* weight = find_slice(forward, scheme, layer.weight);
    if (i + 1 == layers.size()) {
      if (weight) memory.classifier_bits = 8 * elements_of_example(x);
      continue;
    }
    if (find_slice(forward, scheme, layer.bias)) {
      memory.mask_bits += elements_of_example(y);
      memory.bias_bits += 32 * forward.shape(layer.bias).elements();
    }
    if (!weight) continue;
    // Input channels of a slice are the input's; those of a depthwise weight are both.
    const bool narrows_input =
        weight->input_channels || (weight->axis >= 0 && layer.input_axis == layer.output_axis);
    const int64_t inputs = elements_of_example(x);
    memory.input_bits += 8 * (narrows_input ? kept(inputs, *weight, x[x.rank - 1]) : inputs);
    memory.weight_bits += 8 * kept(w.elements(), *weight, weight->axis < 0 ? 1 : w[weight->axis]);
  }
  return memory;
}

}  // namespace attune
