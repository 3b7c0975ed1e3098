#include "graph/slicing/gradient_splitter.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "graph/memory/lower_peak.h"
#include "graph/memory/storage.h"
#include "graph/passes/passes.h"
#include "graph/slicing/piece_emitter.h"

namespace attune {
namespace {

const CutValue& gradient_of(const Region& region) {
  return region.value(region.nodes.front().outputs[0]);
}

// An update and the weight gradient that it alone reads, where both can be run for some rows of the
// gradient, that is output channels, which come from channels of the output's gradient.
std::optional<Region> splittable(const Graph& graph, NodeId id,
                                 const std::vector<std::vector<NodeId>>& readers) {
  const Node& update = graph.nodes[static_cast<size_t>(id)];
  if (op_info(update.op).kind != OpKind::update) return std::nullopt;
  const ValueId parameter = update.inputs[0], gradient = update.inputs[1];
  const NodeId producer = graph.value(gradient).producer;
  if (producer == kNone || graph.is_output(gradient) ||
      readers[static_cast<size_t>(gradient)].size() != 1)
    return std::nullopt;
  // What is updated twice, or seen from outside, stays as it is.
  if (graph.value(parameter).role != Role::parameter) return std::nullopt;
  for (ValueId v : update.outputs)
    if (!readers[static_cast<size_t>(v)].empty() || graph.is_output(v)) return std::nullopt;
  const Node& node = graph.nodes[static_cast<size_t>(producer)];
  const int inputs = static_cast<int>(node.inputs.size());
  const auto rule = piece_rule(graph, node, inputs, 0), of_update = piece_rule(graph, update, 1, 0);
  // Only a sum over pixels or examples is worth it, of which one operand is cut along its last
  // axis.
  if (!rule || !of_update || op_macs(graph, node) == 0) return std::nullopt;
  const auto first = rule->cut.axis.begin();
  if (std::count(first, first + inputs, -1) + 1 != inputs) return std::nullopt;
  const auto dy = std::find_if(first, first + inputs, [](int axis) { return axis >= 0; }) - first;
  if (first[dy] + 1 != graph.shape(node.inputs[static_cast<size_t>(dy)]).rank) return std::nullopt;
  return make_region(graph, {{producer, *rule}, {id, *of_update}});
}

using Strips = GradientSplitter::Strips;

// Replaces updates and their gradients by strips, at the place of the update.
class Splitter {
 public:
  explicit Splitter(const Graph& graph) : graph_(graph) {
    const auto readers = graph.readers();
    for (size_t n = 0; n < graph.nodes.size(); ++n)
      if (auto region = splittable(graph, static_cast<NodeId>(n), readers))
        regions_.emplace(static_cast<NodeId>(n), std::move(*region));
  }

  Graph split(const Strips& strips) {
    std::map<NodeId, int> counts;  // of an update's strips; 0: a gradient that belongs to them
    for (const auto& [made, count] : strips) {
      if (count == 1) continue;
      const NodeId update = graph_.value(made).producer;
      counts[update] = count;
      counts[regions_.at(update).nodes.front().id] = 0;
    }
    Graph result = graph_;
    result.nodes.clear();
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const auto found = counts.find(static_cast<NodeId>(n));
      if (found == counts.end())
        result.nodes.push_back(graph_.nodes[n]);
      else if (found->second > 0)
        emit_strips(regions_.at(found->first), found->second, result);
    }
    result.index();
    return result;
  }

  // Strips of no more than `bytes` for every gradient that is larger.
  Strips finest(int64_t bytes) const {
    Strips strips;
    for (const auto& [update, region] : regions_) {
      const CutValue& gradient = gradient_of(region);
      const int64_t size = gradient.rows * gradient.row_bytes;
      const int64_t count = std::min<int64_t>(gradient.rows, (size + bytes - 1) / bytes);
      if (count > 1)
        strips[graph_.nodes[static_cast<size_t>(update)].outputs[0]] = static_cast<int>(count);
    }
    return strips;
  }

  // By the first output of a strip's update: that of the whole update.
  const std::map<ValueId, ValueId>& whole_updates() const { return whole_updates_; }

 private:
  void emit_strips(const Region& region, int count, Graph& result) {
    const int64_t rows = gradient_of(region).rows;
    std::vector<Piece> strips;
    for (int i = 0; i < count; ++i)
      for (int node : {0, 1})
        strips.push_back(
            {node, {static_cast<int>(rows * i / count), static_cast<int>(rows * (i + 1) / count)}});
    const Node& update = graph_.nodes[static_cast<size_t>(region.nodes.back().id)];
    for (const Node& node : emit_pieces(graph_, result, region, strips, "strip")) {
      if (node.op == update.op) whole_updates_[node.outputs[0]] = update.outputs[0];
      result.nodes.push_back(node);
    }
  }

  const Graph& graph_;
  std::map<NodeId, Region> regions_;  // by update
  std::map<ValueId, ValueId> whole_updates_;
};

// The unsplit graph in an order found for the split one: a gradient and its update are where the
// first of their strips was.
std::vector<Node> order_of(const Graph& split, const Graph& whole, const Splitter& splitter) {
  std::vector<bool> placed(whole.nodes.size());
  std::vector<Node> nodes;
  const auto place = [&](NodeId n) {
    if (n == kNone || placed[static_cast<size_t>(n)]) return;
    placed[static_cast<size_t>(n)] = true;
    nodes.push_back(whole.nodes[static_cast<size_t>(n)]);
  };
  for (const Node& node : split.nodes) {
    ValueId made = node.outputs[0];
    if (const auto found = splitter.whole_updates().find(made);
        found != splitter.whole_updates().end()) {
      made = found->second;
      const Node& update = whole.nodes[static_cast<size_t>(whole.value(made).producer)];
      place(whole.value(update.inputs[1]).producer);
    }
    // Anything else that is new belongs to a strip.
    if (made < static_cast<ValueId>(whole.values.size())) place(whole.value(made).producer);
  }
  return nodes;
}

// Fewer and fewer strips while the peak stays within `limit`.
Strips fewest_strips(const Graph& graph, Strips strips, int64_t limit) {
  Splitter splitter(graph);
  for (auto& [update, count] : strips) {
    const int finest = count;
    for (count = 1; count < finest; count = std::min(2 * count, finest))
      if (peak_behind_loss(splitter.split(strips)) <= limit) break;
  }
  return strips;
}

constexpr int64_t kFinest = 32;  // strips of the largest gradient that could be

}  // namespace

GradientSplitter::GradientSplitter(const Graph& graph)
    : peak_(peak_behind_loss(graph)),
      finest_(Splitter(graph).finest(std::max<int64_t>(1, peak_ / kFinest))),
      ordered_(graph) {
  if (finest_.empty()) return;
  // What is best to run when is another question with strips than without.
  Splitter splitter(graph);
  Graph split = splitter.split(finest_);
  schedule(split);
  ordered_.nodes = order_of(split, graph, splitter);
  ordered_.index();
  least_ = peak_behind_loss(Splitter(ordered_).split(finest_));
}

std::shared_ptr<PackedGraph> GradientSplitter::split(int64_t budget_bytes) {
  if (finest_.empty() || peak_ <= budget_bytes) return nullptr;
  const Strips strips = fewest_strips(ordered_, finest_, std::max(least_, budget_bytes));
  const auto [known, is_new] = known_.try_emplace(strips);
  if (is_new) known->second = in_strips(strips);
  return known->second;
}

std::shared_ptr<PackedGraph> GradientSplitter::in_strips(const Strips& strips) const {
  Graph split = Splitter(ordered_).split(strips);
  lower_peak(split);
  split.index();
  if (peak_behind_loss(split) >= peak_) return nullptr;
  return std::make_shared<PackedGraph>(std::move(split));
}

bool split_gradients(Graph& graph, int64_t budget_bytes) {
  graph.index();
  const auto split = GradientSplitter(graph).split(budget_bytes);
  if (!split) return false;
  graph = split->graph();
  return true;
}

}  // namespace attune
