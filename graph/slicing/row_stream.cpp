#include "graph/slicing/row_stream.h"

#include <algorithm>
#include <functional>
#include <utility>

namespace attune {
namespace {

// Along which axis a value has rows, or kNone.
int row_axis(const Shape& shape) {
  int axis = 0;
  while (axis < shape.rank && shape[axis] == 1) ++axis;
  return axis > 0 && axis + 1 < shape.rank ? axis : kNone;
}

size_t index(int i) { return static_cast<size_t>(i); }

}  // namespace

std::optional<PieceRule> row_rule(const Graph& graph, const Node& node) {
  if (op_info(node.op).kind != OpKind::forward && node.op != Op::normalize) return std::nullopt;
  for (size_t o = 1; o < node.outputs.size(); ++o)
    if (node.outputs[o] != kNone) return std::nullopt;
  const int axis = row_axis(graph.shape(node.outputs[0]));
  if (axis == kNone) return std::nullopt;
  const int inputs = static_cast<int>(node.inputs.size());
  auto rule = piece_rule(graph, node, inputs, axis);
  if (!rule) return std::nullopt;
  const auto first = rule->cut.axis.begin();
  return std::any_of(first, first + inputs, [](int a) { return a >= 0; }) ? rule : std::nullopt;
}

RowRules find_row_rules(const Graph& graph) {
  RowRules rules(graph.nodes.size());
  std::vector<bool> depends(graph.nodes.size());
  for (size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    auto rule = row_rule(graph, node);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId v = node.inputs[i];
      const NodeId producer = v == kNone ? kNone : graph.value(v).producer;
      if (producer == kNone) continue;
      const bool has_rows = rules[index(producer)].has_value();
      if (depends[index(producer)] || has_rows) depends[n] = true;
      // What is read whole, or along another axis, would have to be complete before.
      if (has_rows ? rule && rule->cut.axis[i] != row_axis(graph.shape(v))
                   : depends[index(producer)])
        rule.reset();
    }
    rules[n] = std::move(rule);
  }
  return rules;
}

Region row_region(const Graph& graph, const RowRules& rules, NodeId end) {
  std::vector<bool> inside(graph.nodes.size());
  inside[index(end)] = true;
  for (NodeId n = end; n >= 0; --n) {
    if (!inside[index(n)]) continue;
    for (ValueId v : graph.nodes[index(n)].inputs) {
      const NodeId producer = v == kNone ? kNone : graph.value(v).producer;
      if (producer != kNone && rules[index(producer)]) inside[index(producer)] = true;
    }
  }
  std::vector<std::pair<NodeId, PieceRule>> nodes;
  for (NodeId n = 0; n <= end; ++n)
    if (inside[index(n)]) nodes.push_back({n, *rules[index(n)]});
  Region region = make_region(graph, nodes);
  region.values[index(region.nodes.back().outputs[0])].kept = true;
  return region;
}

std::vector<Piece> stream(const Region& region, const std::vector<int>& rows) {
  std::vector<Piece> pieces;
  std::vector<int> done(region.nodes.size());
  const std::function<void(int, int)> make = [&](int n, int until) {
    const CutNode& node = region.node(n);
    int& made = done[index(n)];
    while (made < until) {
      const Rows next{made, std::min(made + rows[index(n)], region.rows(node))};
      for (int input : node.inputs)
        if (input != kNone && region.value(input).maker != kNone)
          make(region.value(input).maker, rows_read(region, node, input, next).end);
      pieces.push_back({n, next});
      made = next.end;
    }
  };
  const int end = static_cast<int>(region.nodes.size()) - 1;
  make(end, region.rows(region.node(end)));
  for (const CutValue& value : region.values)
    if (value.maker != kNone && value.kept) make(value.maker, value.rows);
  return pieces;
}

int64_t stream_bytes(const Region& region, const std::vector<Piece>& pieces) {
  std::vector<int> done(region.nodes.size());
  std::vector<int64_t> held(region.values.size());
  int64_t now = 0, most = 0;
  const auto settle = [&](int i) {
    const CutValue& value = region.value(i);
    // What was made before is all there, and goes row by row.
    const int made = value.maker == kNone ? value.rows : done[index(value.maker)];
    const int64_t bytes = value.row_bytes * std::max(0, made - first_needed(region, value, done));
    now += bytes - std::exchange(held[index(i)], bytes);
  };
  for (size_t i = 0; i < region.values.size(); ++i) settle(static_cast<int>(i));
  for (const Piece& piece : pieces) {
    const CutNode& node = region.node(piece.node);
    int64_t passing = region.value(node.outputs[0]).row_bytes * piece.rows.count();
    if (node.overwrites != kNone) passing = 0;
    // Rows that do not lie together, as those of a planar image, are copied together.
    for (int i : node.inputs)
      if (i != kNone && !region.value(i).together)
        passing += region.value(i).row_bytes * rows_read(region, node, i, piece.rows).count();
    most = std::max(most, now + passing);
    done[index(piece.node)] = piece.rows.end;
    for (int i : node.inputs)
      if (i != kNone) settle(i);
    settle(node.outputs[0]);
  }
  return most;
}

}  // namespace attune
