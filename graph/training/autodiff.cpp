#include "graph/training/autodiff.h"

#include <algorithm>
#include <utility>

#include "graph/ir/error.h"
#include "graph/rules/rules.h"

namespace attune {
namespace {

// Nodes between the wanted values and the seeds.
class Paths {
 public:
  Paths(const Graph& graph, const std::vector<ValueId>& seeds, const std::vector<ValueId>& wanted)
      : depends_(graph.values.size(), false), reaches_(graph.values.size(), false) {
    for (ValueId id : wanted) depends_[id] = carries(graph, id);
    for (const Node& node : graph.nodes)
      for (ValueId in : node.inputs)
        if (in != kNone && depends_[in] && op_info(node.op).kind != OpKind::flat)
          for (ValueId out : node.outputs)
            if (carries(graph, out)) depends_[out] = true;
    for (ValueId id : seeds) reaches_[id] = true;
    for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node)
      for (ValueId out : node->outputs)
        if (out != kNone && reaches_[out] && op_info(node->op).kind != OpKind::flat)
          for (ValueId in : node->inputs)
            if (carries(graph, in)) reaches_[in] = true;
  }

  // Whether the value is a function of a wanted one.
  bool depends(ValueId id) const { return id != kNone && depends_[id]; }
  // Whether a gradient passes through the node, from an output to an input.
  bool on_path(const Node& node) const {
    const auto any = [](const std::vector<ValueId>& ids, const std::vector<bool>& marked) {
      return std::any_of(ids.begin(), ids.end(),
                         [&](ValueId id) { return id != kNone && marked[id]; });
    };
    return op_info(node.op).kind != OpKind::flat && any(node.inputs, depends_) &&
           any(node.outputs, reaches_);
  }

 private:
  // Gradients flow through reals only, not through labels, masks and positions.
  static bool carries(const Graph& graph, ValueId id) {
    return id != kNone && is_real(graph.value(id).dtype);
  }

  std::vector<bool> depends_, reaches_;
};

std::vector<std::string> missing(const Graph& graph, const Paths& paths) {
  std::vector<std::string> names;
  for (const Node& node : graph.nodes)
    if (paths.on_path(node) && gradient_rule(node.op) == nullptr)
      names.push_back(fmt::format("{} ({})", node.name, op_name(node.op)));
  return names;
}

// The gradient of each value: the sum of the terms so far, or kNone.
using Gradients = std::vector<ValueId>;

// Sums are formed as the terms come, so that one of them is alive and not all.
void add_term(Graph& graph, Gradients& gradients, ValueId value, ValueId term) {
  ValueId& sum = gradients[value];
  if (sum != kNone) {
    const std::string name = "grad:" + graph.value(value).name;
    term = graph.emit(Op::add, NoAttrs{}, {sum, term}, name + "/sum");
    graph.rename(term, name);
  }
  sum = term;
}

// Runs the rule of one node and adds what it gives to its inputs' gradients.
void differentiate_node(Graph& graph, NodeId id, const Paths& paths, Gradients& gradients) {
  std::vector<ValueId> output_grads;
  for (ValueId out : graph.nodes[id].outputs)
    output_grads.push_back(out == kNone ? kNone : gradients[out]);
  std::vector<bool> needs;
  for (ValueId in : graph.nodes[id].inputs) needs.push_back(paths.depends(in));

  ValueId unnamed = static_cast<ValueId>(graph.values.size());
  GradientContext context(graph, id, std::move(output_grads), needs);
  gradient_rule(context.node().op)(context);
  for (size_t i = 0; i < needs.size(); ++i) {
    if (!needs[i]) continue;
    const ValueId input = context.x(static_cast<int>(i)), grad = context.input_grads[i];
    if (grad == kNone)
      throw_error("{} '{}' has no gradient with respect to '{}'", op_name(context.node().op),
                  context.node().name, graph.value(input).name);
    // A rule may also pass on a gradient that has a name already.
    if (grad >= unnamed && !graph.value(grad).name.starts_with("grad:"))
      graph.rename(grad, "grad:" + graph.value(input).name);
    add_term(graph, gradients, input, grad);
  }
}

}  // namespace

std::map<ValueId, ValueId> differentiate(Graph& graph, const std::map<ValueId, ValueId>& seed,
                                         const std::vector<ValueId>& wanted) {
  std::vector<ValueId> seeds;
  Gradients gradients(graph.values.size(), kNone);
  for (const auto& [value, grad] : seed) {
    if (!(graph.shape(value) == graph.shape(grad)) ||
        graph.value(value).dtype != graph.value(grad).dtype)
      throw_error("the gradient of '{}' is {}, not {}", graph.value(value).name,
                  type_text(graph.value(grad)), type_text(graph.value(value)));
    seeds.push_back(value);
    add_term(graph, gradients, value, grad);
  }
  const Paths paths(graph, seeds, wanted);
  if (const auto names = missing(graph, paths); !names.empty())
    throw_error("no gradient through {}", fmt::join(names, ", "));

  for (NodeId id = static_cast<NodeId>(graph.nodes.size()) - 1; id >= 0; --id)
    if (paths.on_path(graph.nodes[id])) differentiate_node(graph, id, paths, gradients);

  std::map<ValueId, ValueId> result;
  for (ValueId id : wanted)
    if (gradients[id] != kNone) result[id] = gradients[id];
  return result;
}

std::vector<std::string> missing_gradients(const Graph& graph, ValueId loss_input,
                                           const std::vector<ValueId>& wanted) {
  return missing(graph, Paths(graph, {loss_input}, wanted));
}

}  // namespace attune
