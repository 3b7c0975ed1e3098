// How a graph prints.
#include "graph/ir/graph.h"
#include "graph/rules/rules.h"

namespace attune {
namespace {

constexpr int64_t kMaxPrinted = 4;  // elements of a constant

std::string reference(const Graph& graph, ValueId id) {
  return id == kNone ? "_" : "%" + graph.value(id).name;
}

std::string definition(const Graph& graph, ValueId id) {
  if (id == kNone) return "_";
  const Value& value = graph.value(id);
  std::string text = reference(graph, id) + " " + type_text(value);
  if (value.updates != kNone) text += " over " + reference(graph, value.updates);
  if (value.lies_in != kNone)
    text += fmt::format(" in {}+{}", reference(graph, value.lies_in), value.lies_at);
  return text;
}

std::string contents(const Value& value) {
  if (!value.data || value.shape.elements() > kMaxPrinted) return "";
  return value.data->is_real() ? fmt::format(" = {}", fmt::join(value.data->reals(), " "))
                               : fmt::format(" = {}", fmt::join(value.data->ints(), " "));
}

}  // namespace

std::string Graph::text() const {
  std::string text;
  for (const Port& port : inputs)
    text += fmt::format("input {}: {}\n", port.name, definition(*this, port.value));
  const auto readers = this->readers();
  for (size_t i = 0; i < values.size(); ++i) {
    const Value& value = values[i];
    const ValueId id = static_cast<ValueId>(i);
    if (readers[i].empty() && !is_output(id)) continue;
    if (value.role == Role::parameter) text += "parameter " + definition(*this, id) + "\n";
    if (value.role == Role::statistic) text += "statistic " + definition(*this, id) + "\n";
    if (value.role == Role::state) text += "state " + definition(*this, id) + "\n";
    if (value.role == Role::constant)
      text += "constant " + definition(*this, id) + contents(value) + "\n";
  }
  for (NodeId n = 0; n < static_cast<NodeId>(nodes.size()); ++n) {
    const Node& node = nodes[static_cast<size_t>(n)];
    std::string line;
    for (ValueId id : node.outputs) line += (line.empty() ? "" : ", ") + definition(*this, id);
    std::string arguments;
    for (ValueId id : node.inputs)
      arguments += (arguments.empty() ? "" : ", ") + reference(*this, id);
    line += fmt::format(" = {}({})", op_name(node.op), arguments);
    const std::string attrs = attrs_text(node.attrs);
    if (!attrs.empty()) line += " " + attrs;
    if (node.outputs.empty() || node.outputs[0] == kNone ||
        node.name != value(node.outputs[0]).name)
      line += "   # " + node.name;
    if (repeat.count > 1 && n == repeat.begin) text += fmt::format("{} times:\n", repeat.count);
    if (repeat.count > 1 && repeat.contains(n)) text += "  ";
    text += line + "\n";
  }
  for (const Port& port : outputs)
    text += fmt::format("output {}: {}\n", port.name, reference(*this, port.value));
  return text;
}

}  // namespace attune
