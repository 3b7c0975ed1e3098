#include "graph/slicing/row_rules.h"

#include <algorithm>

#include "graph/ir/error.h"
#include "graph/rules/cut.h"

namespace attune {
namespace {

constexpr int kRowAxis = 1;

// The height of the kernel among a node's operands; 1 where there is none.
int kernel_height(const Graph& graph, const Node& node) {
  const Signature::Place kernel = signature(node.op).place("KH");
  return kernel.operand < 0 ? 1 : graph.shape(node.inputs[kernel.operand])[kernel.axis];
}

}  // namespace

std::optional<RowRule> row_rule(const Graph& graph, const Node& node) {
  // Rows are cut on the way forward alone. A reshape is a view of memory, which strips do not
  // share.
  if (op_info(node.op).kind != OpKind::forward && node.op != Op::normalize) return std::nullopt;
  if (node.op == Op::reshape) return std::nullopt;
  for (size_t o = 1; o < node.outputs.size(); ++o)
    if (node.outputs[o] != kNone) return std::nullopt;
  const Shape& y = graph.shape(node.outputs[0]);
  if (y.rank != 4 || y[0] != 1) return std::nullopt;
  const Cut rows = cut_output(graph, node, 0, kRowAxis);
  if (!rows.possible) return std::nullopt;
  const auto windows = row_windows(node.attrs, kernel_height(graph, node));
  if (!windows) return std::nullopt;
  RowRule rule{*windows,
               {rows.axis.begin(), rows.axis.end() - static_cast<int>(node.outputs.size())}};
  const bool any = std::any_of(rule.axes.begin(), rule.axes.end(), [](int a) { return a >= 0; });
  return any ? std::optional(rule) : std::nullopt;
}

Node make_rows(Graph& graph, const Node& node, const RowRule& rule, Rows output, int height,
               std::vector<ValueId> inputs) {
  AnyAttrs attrs = node.attrs;
  rule.windows.cut_attrs(attrs, output, height);
  Shape shape = graph.shape(node.outputs[0]);
  shape[kRowAxis] = output.count();
  const std::string name = fmt::format("{}/rows{}", node.name, output.begin);
  return graph.make(node.op, std::move(attrs), std::move(inputs), name, &shape);
}

}  // namespace attune
