#include "graph/slicing/row_rules.h"

#include <algorithm>
#include <type_traits>
#include <variant>

#include "graph/ir/error.h"

namespace attune {
namespace {

constexpr int kRowAxis = 1;

// Windows that see rows of the image, whatever their place.
template <class A>
std::optional<RowRule> windowed(const A& attrs, int kernel_h) {
  RowRule rule;
  rule.stride = attrs.stride_h;
  rule.reach = attrs.dilation_h * (kernel_h - 1) + 1;
  rule.pad = attrs.pad_top;
  if (attrs.pad_top >= rule.reach || attrs.pad_bottom >= rule.reach) return std::nullopt;
  return rule;
}

std::optional<RowRule> rule_of(const Graph& graph, const Node& node) {
  switch (node.op) {
    case Op::conv2d:
      return windowed(node.as<Conv2dAttrs>(), graph.shape(node.inputs[1])[1]);
    case Op::depthwise_conv2d:
      return windowed(node.as<Conv2dAttrs>(), graph.shape(node.inputs[1])[0]);
    case Op::max_pool2d:
    case Op::avg_pool2d:
      return windowed(node.as<Pool2dAttrs>(), node.as<Pool2dAttrs>().kernel_h);
    case Op::transpose: {
      RowRule rule;
      rule.axis = node.as<TransposeAttrs>().perm[kRowAxis];
      return rule;
    }
    case Op::concat:
      if (node.as<AxisAttrs>().axis <= kRowAxis) return std::nullopt;
      return RowRule();
    case Op::slice:
      if (node.as<SliceAttrs>().axis <= kRowAxis) return std::nullopt;
      return RowRule();
    case Op::add:
    case Op::sub:
    case Op::mul:
    case Op::div:
    case Op::batch_norm:
    case Op::scale:
    case Op::clamp:
    case Op::hard_sigmoid:
    case Op::hard_swish:
    case Op::sigmoid:
    case Op::tanh:
    case Op::softmax:
    case Op::normalize:
      return RowRule();
    default:
      return std::nullopt;
  }
}

bool binary(Op op) { return op == Op::add || op == Op::sub || op == Op::mul || op == Op::div; }

// Along rows an input has the output's height, or is the same everywhere.
enum class Reads { rows, whole, neither };
Reads reads_of(const Graph& graph, const Node& node, size_t input) {
  if (node.op == Op::concat) return Reads::rows;
  if (!binary(node.op)) return input == 0 ? Reads::rows : Reads::whole;
  const Shape &x = graph.shape(node.inputs[input]), &y = graph.shape(node.outputs[0]);
  if (x.rank == y.rank && x[kRowAxis] == y[kRowAxis] && y[kRowAxis] > 1) return Reads::rows;
  return x.rank < 3 || x[x.rank - 3] == 1 ? Reads::whole : Reads::neither;
}

}  // namespace

Rows RowRule::window(Rows output, int height) const {
  return {std::clamp(output.begin * stride - pad, 0, height),
          std::clamp((output.end - 1) * stride - pad + reach, 0, height)};
}

std::optional<RowRule> row_rule(const Graph& graph, const Node& node) {
  for (size_t o = 1; o < node.outputs.size(); ++o)
    if (node.outputs[o] != kNone) return std::nullopt;
  const Shape& y = graph.shape(node.outputs[0]);
  if (y.rank != 4 || y[0] != 1) return std::nullopt;
  std::optional<RowRule> rule = rule_of(graph, node);
  if (!rule) return std::nullopt;
  bool any = false;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Reads reads = node.inputs[i] == kNone ? Reads::whole : reads_of(graph, node, i);
    if (reads == Reads::neither) return std::nullopt;
    rule->from_rows.push_back(reads == Reads::rows);
    any |= reads == Reads::rows;
  }
  if (!any) return std::nullopt;
  return rule;
}

Node make_rows(Graph& graph, const Node& node, const RowRule& rule, Rows output, int height,
               std::vector<ValueId> inputs) {
  AnyAttrs attrs = node.attrs;
  const Rows window = rule.window(output, height);
  std::visit(
      [&](auto& a) {
        using A = std::decay_t<decltype(a)>;
        if constexpr (std::is_same_v<A, Conv2dAttrs> || std::is_same_v<A, Pool2dAttrs>) {
          a.pad_top = std::max(0, rule.pad - output.begin * rule.stride);
          a.pad_bottom =
              std::max(0, (output.end - 1) * rule.stride - rule.pad + rule.reach - height);
          if (a.input_h != 0) a.input_h = window.count();
        }
      },
      attrs);
  Shape shape = graph.shape(node.outputs[0]);
  shape[kRowAxis] = output.count();
  const std::string name = fmt::format("{}/rows{}", node.name, output.begin);
  return graph.make(node.op, std::move(attrs), std::move(inputs), name, &shape);
}

}  // namespace attune
