#include "graph/rules/examples.h"

#include <fmt/format.h>

#include <vector>

#include "graph/rules/cut.h"
#include "graph/rules/rules.h"

namespace attune {
namespace {

// Where a value has the examples: an axis of outer x batch x inner places. No axis: it is the same
// for all.
struct Examples {
  int axis = -1;
  int64_t outer = 1, inner = 1;
  bool operator==(const Examples&) const = default;
};

class Tracker {
 public:
  Tracker(const Graph& graph, int batch)
      : graph_(graph), batch_(batch), of_(graph.values.size()), needed_(graph.values.size()) {}

  std::optional<std::string> run() {
    mark_needed();
    for (const Port& port : graph_.inputs)
      if (graph_.shape(port.value).rank > 0 && graph_.shape(port.value)[0] == batch_)
        at(port.value).axis = 0;
    for (const Node& node : graph_.nodes)
      if (is_needed(node) && !follow(node))
        return fmt::format(
            "node {} ({}) mixes the examples of a batch: it does not keep them apart on one axis, "
            "so that an example's output would depend on the others; export a model that goes "
            "example by example, its first axis the batch",
            node.name, op_name(node.op));
    const Port& output = graph_.outputs.front();
    const Examples examples = of_[static_cast<size_t>(output.value)];
    if (examples.axis < 0 || examples == Examples{0, 1, 1}) return std::nullopt;
    return fmt::format(
        "output {} has shape {} for a batch of {}: its first axis must be the batch; {}",
        output.name, shape_text(graph_.shape(output.value)), batch_,
        examples.outer == 1 && examples.inner == 1
            ? fmt::format("give --batch-axis {}:{}, or export the model so", output.name,
                          examples.axis)
            : "export the model so");
  }

 private:
  Examples& at(ValueId id) { return of_[static_cast<size_t>(id)]; }
  bool is_batched(ValueId id) const {
    return id != kNone && of_[static_cast<size_t>(id)].axis >= 0;
  }

  void mark_needed() {
    needed_[static_cast<size_t>(graph_.outputs.front().value)] = true;
    for (auto node = graph_.nodes.rbegin(); node != graph_.nodes.rend(); ++node)
      if (is_needed(*node))
        for (const ValueId id : node->inputs)
          if (id != kNone) needed_[static_cast<size_t>(id)] = true;
  }
  bool is_needed(const Node& node) const {
    for (const ValueId id : node.outputs)
      if (id != kNone && needed_[static_cast<size_t>(id)]) return true;
    return false;
  }

  bool follow(const Node& node) {
    if (node.op == Op::reshape) return !is_batched(node.inputs[0]) || follow_reshape(node);
    std::optional<Cut> first;
    Examples examples;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (!is_batched(node.inputs[i])) continue;
      if (!first) {
        examples = at(node.inputs[i]);
        first = cut(graph_, node, static_cast<int>(i), examples.axis);
        if (!first->possible || first->window || first->summed != 0) return false;
      }
      Examples wanted = examples;
      wanted.axis = first->axis[i];
      if (!(at(node.inputs[i]) == wanted)) return false;
    }
    for (size_t o = 0; first && o < node.outputs.size(); ++o) {
      if (node.outputs[o] == kNone) continue;
      Examples& made = at(node.outputs[o]);
      made = examples;
      made.axis = first->axis[node.inputs.size() + o];
      if (made.axis < 0) return false;
    }
    return true;
  }

  // The axis of the output that holds the same places in memory.
  bool follow_reshape(const Node& node) {
    const Examples& from = at(node.inputs[0]);
    const int64_t before = graph_.shape(node.inputs[0]).product(0, from.axis) * from.outer;
    const Shape& to = graph_.shape(node.outputs[0]);
    for (int i = 0; i < to.rank; ++i) {
      const int64_t lead = to.product(0, i);
      if (before % lead != 0 || to[i] % (before / lead * batch_) != 0) continue;
      at(node.outputs[0]) = {i, before / lead, to[i] / (before / lead * batch_)};
      return true;
    }
    return false;
  }

  const Graph& graph_;
  const int64_t batch_;
  std::vector<Examples> of_;
  std::vector<bool> needed_;
};

}  // namespace

std::optional<std::string> mixed_examples(const Graph& graph, int batch) {
  return Tracker(graph, batch).run();
}

}  // namespace attune
