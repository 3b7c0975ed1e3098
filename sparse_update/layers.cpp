#include "sparse_update/layers.h"

#include <algorithm>
#include <map>
#include <set>
#include <variant>

#include "graph/rules/cut.h"
#include "sparse_update/layer_names.h"

namespace attune {
namespace {

bool is_parameter(const Graph& graph, ValueId id) {
  return id != kNone && graph.value(id).role == Role::parameter;
}

bool is_vector(const Shape& shape) { return shape.elements() == shape.last(); }

// A parameter, and which of its axes an operand's input and output channels are.
struct Weight {
  ValueId parameter = kNone;
  int input_axis = -1, output_axis = -1;
};

// The axis of a node's input that its output's is; -1: none.
int axis_before(const Graph& graph, const Node& node, size_t input, int axis) {
  if (axis < 0) return -1;
  // Parts of channels say nothing of the others, but are channels still.
  if (node.op == Op::slice || node.op == Op::concat) return axis;
  const Cut cut = cut_output(graph, node, 0, axis);
  return cut.possible ? cut.axis[input] : -1;
}

// What an operand that does not depend on the model's inputs is made of, seen through what moves
// its elements or puts parts together, and what scales or shifts them (a weight that is
// normalised).
void add_weights_behind(const Graph& graph, Weight weight, std::vector<Weight>* found) {
  while (graph.value(weight.parameter).role == Role::temporary) {
    const Node& node = graph.nodes[graph.value(weight.parameter).producer];
    const auto behind = [&](size_t input) {
      return Weight{node.inputs[input], axis_before(graph, node, input, weight.input_axis),
                    axis_before(graph, node, input, weight.output_axis)};
    };
    switch (node.op) {
      case Op::reshape:
      case Op::transpose:
      case Op::slice:
        weight = behind(0);
        break;
      case Op::concat:
        for (size_t i = 0; i < node.inputs.size(); ++i) add_weights_behind(graph, behind(i), found);
        return;
      case Op::add:
      case Op::sub:
      case Op::mul:
      case Op::div:
      case Op::scale: {
        const bool first = graph.shape(node.inputs[0]) == graph.shape(node.outputs[0]);
        weight.parameter = node.inputs[first ? 0 : 1];
        break;
      }
      default:
        return;
    }
  }
  const auto same = [&](const Weight& other) { return other.parameter == weight.parameter; };
  if (is_parameter(graph, weight.parameter) && std::none_of(found->begin(), found->end(), same))
    found->push_back(weight);
}

// Rows of b are its inputs, and columns of a.
WeightAxes product_axes(const Graph& graph, const Node& product, int operand) {
  const auto [ta, tb] = product.as<MatmulAttrs>();
  const int last = graph.shape(product.inputs[operand]).rank - 1;
  const bool inputs_last = operand == 0 ? !ta : tb;
  return {last - (inputs_last ? 0 : 1), last - (inputs_last ? 1 : 0)};
}

// Of each value, whether it depends on the model's inputs.
std::vector<bool> computed_of_inputs(const Graph& graph) {
  std::vector<bool> computed(graph.values.size());
  for (const Port& port : graph.inputs) computed[port.value] = true;
  for (const Node& node : graph.nodes)
    for (ValueId in : node.inputs)
      if (in != kNone && computed[in])
        for (ValueId out : node.outputs)
          if (out != kNone) computed[out] = true;
  return computed;
}

class Finder {
 public:
  Finder(const Graph& graph, bool of_all_outputs)
      : graph_(graph), reaching_(reaching_output(graph)), readers_(graph.readers()) {
    of_inputs_ = computed_of_inputs(graph);
    if (of_all_outputs) reaching_.assign(reaching_.size(), true);
  }

  std::vector<Layer> run() {
    std::map<ValueId, size_t> by_weight;
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      if (!reaches(node)) continue;
      for (const Weight& weight : weights_of(node)) {
        const auto [at, fresh] = by_weight.try_emplace(weight.parameter, layers_.size());
        if (fresh) layers_.push_back(make(node, weight));
        layers_[at->second].nodes.push_back(static_cast<NodeId>(n));
        last_used_ = at->second;
      }
    }
    if (layers_.empty()) return {};
    // Whose weight is used last is the classifier, though it may be an embedding's, too.
    std::rotate(layers_.begin() + static_cast<std::ptrdiff_t>(last_used_),
                layers_.begin() + static_cast<std::ptrdiff_t>(last_used_) + 1, layers_.end());
    find_blocks(layers_);
    give_the_rest();
    return std::move(layers_);
  }

 private:
  // Of a recurrent layer the last state alone may be read.
  bool reaches(const Node& node) const {
    return std::any_of(node.outputs.begin(), node.outputs.end(),
                       [&](ValueId out) { return out != kNone && reaching_[out]; });
  }

  std::vector<Weight> weights_in(const Node& node, int operand, WeightAxes axes) const {
    std::vector<Weight> found;
    const ValueId id = node.inputs[operand];
    if (!of_inputs_[id]) add_weights_behind(graph_, {id, axes.input, axes.output}, &found);
    return found;
  }

  std::vector<Weight> weights_of(const Node& node) const {
    if (const WeightAxes axes = weight_axes(node.op, 1)) return weights_in(node, 1, axes);
    if (node.op == Op::take) return weights_in(node, 0, {-1, 1});
    if (node.op != Op::matmul) return {};
    const auto a = weights_in(node, 0, product_axes(graph_, node, 0));
    const auto b = weights_in(node, 1, product_axes(graph_, node, 1));
    if (!a.empty() && !b.empty()) return {};
    return a.empty() ? b : a;
  }

  Layer make(const Node& node, const Weight& weight) const {
    Layer layer;
    layer.name = node.name;
    layer.op = node.op;
    layer.grouped = std::visit(
        [](const auto& attrs) {
          if constexpr (requires { attrs.groups; }) return attrs.groups > 1;
          return false;
        },
        node.attrs);
    layer.weight = weight.parameter;
    layer.input_axis = weight.input_axis;
    layer.output_axis = weight.output_axis;
    const int bias = bias_input(node.op);
    if (bias >= 0 && is_parameter(graph_, node.input(bias))) layer.bias = node.input(bias);
    if (node.op != Op::take) add_epilogue(node.outputs[0], &layer);
    if (layer.bias != kNone) layer.biases.push_back(layer.bias);
    layer.joins = joins(node.outputs[0]);
    return layer;
  }

  bool is_computed(ValueId id) const { return graph_.value(id).role == Role::temporary; }

  // Whether a value reaches a sum of two computed values with nothing but constants on the way.
  bool joins(ValueId y) const {
    for (int hops = 0; hops < 6 && readers_[y].size() == 1; ++hops) {
      const Node& next = graph_.nodes[readers_[y].front()];
      if (next.op == Op::add && is_computed(next.inputs[0]) && is_computed(next.inputs[1]))
        return true;
      const bool with_constant = (next.op == Op::add || next.op == Op::mul) &&
                                 !(is_computed(next.inputs[0]) && is_computed(next.inputs[1]));
      if (!with_constant && next.op != Op::reshape && next.op != Op::transpose &&
          next.op != Op::scale && next.op != Op::batch_norm)
        return false;
      y = next.outputs[0];
    }
    return false;
  }

  // Follows the output of a layer to the batch norm or bias addition that belongs to it.
  void add_epilogue(ValueId y, Layer* layer) const {
    for (int hops = 0; hops < 4 && readers_[y].size() == 1; ++hops) {
      const Node& next = graph_.nodes[readers_[y].front()];
      if (next.op == Op::batch_norm) {
        const ValueId gamma = next.inputs[1], beta = next.inputs[2];
        if (is_parameter(graph_, gamma)) layer->others.push_back(gamma);
        if (!is_parameter(graph_, beta)) return;
        if (layer->bias == kNone)
          layer->bias = beta;
        else
          layer->others.push_back(beta);
        return;
      }
      if (next.op == Op::add && layer->bias == kNone) {
        for (ValueId side : next.inputs)
          if (side != y && is_parameter(graph_, side) && is_vector(graph_.shape(side)))
            layer->bias = side;
        return;
      }
      if (next.op != Op::reshape && next.op != Op::transpose) return;
      y = next.outputs[0];
    }
  }

  // Parameters that are no layer's yet, each to the layer before or behind what reads it: the one
  // whose name has more in common with its own, else the one before.
  void give_the_rest() {
    std::set<ValueId> given;
    for (const Layer& layer : layers_)
      for (ValueId id : layer.parameters()) given.insert(id);
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& node = graph_.nodes[n];
      if (!reaches(node)) continue;
      for (ValueId id : node.inputs) {
        if (!is_parameter(graph_, id) || !given.insert(id).second) continue;
        Layer* owner = owner_of(id, static_cast<NodeId>(n));
        if (owner == nullptr) continue;
        const bool bias = node.op == Op::add || node.op == Op::batch_norm;
        const bool scale = node.op == Op::batch_norm && node.inputs[1] == id;
        (bias && !scale && is_vector(graph_.shape(id)) ? owner->biases : owner->others)
            .push_back(id);
      }
    }
  }

  Layer* owner_of(ValueId parameter, NodeId reader) {
    Layer *before = nullptr, *behind = nullptr;
    for (Layer& layer : layers_) {
      if (&layer == &layers_.back()) continue;  // "head" trains the classifier and no more
      // Sorted by their first nodes, but for the classifier.
      if (layer.nodes.front() < reader)
        before = &layer;
      else if (behind == nullptr)
        behind = &layer;
    }
    if (before == nullptr || behind == nullptr) return before != nullptr ? before : behind;
    std::string name = module_path(graph_.nodes[reader].name);
    if (name.empty()) name = graph_.value(parameter).origin.tensor;
    return common_parts(name, behind->name) > common_parts(name, before->name) ? behind : before;
  }

  const Graph& graph_;
  std::vector<bool> reaching_, of_inputs_;
  const std::vector<std::vector<NodeId>> readers_;
  std::vector<Layer> layers_;
  size_t last_used_ = 0;
};

}  // namespace

std::vector<ValueId> Layer::parameters() const {
  std::vector<ValueId> all = {weight};
  all.insert(all.end(), biases.begin(), biases.end());
  all.insert(all.end(), others.begin(), others.end());
  return all;
}

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

std::vector<Layer> find_layers(const Graph& graph, bool of_all_outputs) {
  return Finder(graph, of_all_outputs).run();
}

}  // namespace attune
