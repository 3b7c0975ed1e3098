#include "graph/slicing/region.h"

#include <algorithm>
#include <map>
#include <utility>

namespace attune {
namespace {

// The size of the kernel along an image's axis among a node's operands; 1 where there is none.
int kernel_size(const Graph& graph, const Node& node, int axis) {
  const Signature::Place kernel = signature(node.op).place(axis == 1 ? "KH" : "KW");
  return kernel.operand < 0 ? 1 : graph.shape(node.inputs[kernel.operand])[kernel.axis];
}

class RegionMaker {
 public:
  RegionMaker(const Graph& graph, const std::vector<std::pair<NodeId, PieceRule>>& nodes)
      : graph_(graph), given_(nodes), read_outside_(graph.values.size()) {}

  Region make() {
    find_reads_outside();
    for (const auto& [id, rule] : given_)
      if (graph_.nodes[static_cast<size_t>(id)].op != Op::reshape) add(id, rule);
    for (CutNode& node : region_.nodes) node.overwrites = overwritten_input(node);
    return std::move(region_);
  }

 private:
  const Node& node(NodeId id) const { return graph_.nodes[static_cast<size_t>(id)]; }
  bool is_read_outside(ValueId v) const { return read_outside_[static_cast<size_t>(v)]; }

  void find_reads_outside() {
    std::vector<bool> inside(graph_.nodes.size());
    for (const auto& [id, rule] : given_) inside[static_cast<size_t>(id)] = true;
    for (size_t n = 0; n < graph_.nodes.size(); ++n)
      if (!inside[n])
        for (ValueId v : graph_.nodes[n].inputs)
          if (v != kNone) read_outside_[static_cast<size_t>(v)] = true;
    for (const Port& port : graph_.outputs) read_outside_[static_cast<size_t>(port.value)] = true;
    for (auto at = given_.rbegin(); at != given_.rend(); ++at) {
      const Node& n = node(at->first);
      if (n.op != Op::reshape) continue;
      source_of_[n.outputs[0]] = {n.inputs[0], at->second.cut.axis[0]};
      if (is_read_outside(n.outputs[0]))
        read_outside_[static_cast<size_t>(n.inputs[0])] = true;
      else
        region_.reshapes.push_back(at->first);
    }
  }

  // The index of a value along an axis, which is that of what it is a reshape of.
  int index_of(ValueId v, int axis) {
    for (auto at = source_of_.find(v); at != source_of_.end(); at = source_of_.find(v))
      std::tie(v, axis) = at->second;
    const auto [at, is_new] =
        index_.try_emplace({v, axis}, static_cast<int>(region_.values.size()));
    if (is_new) {
      const Value& value = graph_.value(v);
      const int rows = value.shape[axis];
      const bool together = value.shape.product(0, axis) == 1;
      region_.values.push_back(
          {v, axis, rows, value.bytes() / rows, together, kNone, is_read_outside(v), {}});
    }
    return at->second;
  }

  void add(NodeId id, const PieceRule& rule) {
    const Node& n = node(id);
    const int index = static_cast<int>(region_.nodes.size());
    CutNode made{id, rule, {}, {}, kNone};
    auto axis = rule.cut.axis.begin();
    for (ValueId v : n.inputs) {
      made.inputs.push_back(*axis >= 0 ? index_of(v, *axis) : kNone);
      if (*axis++ >= 0)
        region_.values[static_cast<size_t>(made.inputs.back())].readers.push_back(index);
    }
    for (ValueId v : n.outputs) {
      made.outputs.push_back(v != kNone && *axis >= 0 ? index_of(v, *axis) : kNone);
      ++axis;
      if (made.outputs.back() != kNone)
        region_.values[static_cast<size_t>(made.outputs.back())].maker = index;
    }
    region_.nodes.push_back(std::move(made));
  }

  // The input that a node may write its rows over: read by nobody else, and made in the region.
  int overwritten_input(const CutNode& cut) const {
    const Node& n = node(cut.id);
    for (size_t i = 0; i < n.inputs.size(); ++i) {
      if (cut.inputs[i] == kNone || !(op_info(n.op).in_place >> i & 1)) continue;
      const CutValue& x = region_.value(cut.inputs[i]);
      if (x.maker == kNone || x.kept || x.readers.size() != 1) continue;
      const Value &from = graph_.value(n.inputs[i]), &to = graph_.value(n.outputs[0]);
      if (from.dtype == to.dtype && from.shape == to.shape) return static_cast<int>(i);
    }
    return kNone;
  }

  const Graph& graph_;
  const std::vector<std::pair<NodeId, PieceRule>>& given_;
  std::vector<bool> read_outside_;                        // by value
  std::map<ValueId, std::pair<ValueId, int>> source_of_;  // of reshapes: what they show, its axis
  std::map<std::pair<ValueId, int>, int> index_;          // of values, by value and axis
  Region region_;
};

}  // namespace

std::optional<PieceRule> piece_rule(const Graph& graph, const Node& node, int operand, int axis) {
  Cut cut = attune::cut(graph, node, operand, axis);
  if (!cut.possible) return std::nullopt;
  if (!cut.window) return PieceRule{std::move(cut), {}};
  const auto windows = row_windows(node.attrs, kernel_size(graph, node, axis), axis);
  if (!windows) return std::nullopt;
  return PieceRule{std::move(cut), *windows};
}

Region make_region(const Graph& graph, const std::vector<std::pair<NodeId, PieceRule>>& nodes) {
  return RegionMaker(graph, nodes).make();
}

int first_needed(const Region& region, const CutValue& value, const std::vector<int>& done) {
  if (value.kept) return 0;
  int first = value.rows;
  for (int reader : value.readers) {
    const CutNode& node = region.node(reader);
    const int made = done[static_cast<size_t>(reader)];
    if (made == region.rows(node)) continue;
    first = std::min(first, node.rule.windows.reads({made, made + 1}, value.rows).begin);
  }
  return first;
}

}  // namespace attune
