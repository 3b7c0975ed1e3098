#include "graph/slicing/gradient_splitter.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "graph/memory/lower_peak.h"
#include "graph/memory/storage.h"
#include "graph/passes/passes.h"
#include "graph/rules/cut.h"
#include "graph/rules/rules.h"

namespace attune {
namespace {

// The weight gradient that an update reads, where it can be computed in strips: rows of it, that
// is output channels, come from channels of the output's gradient.
struct WeightGradient {
  size_t node = 0;  // index of the gradient's node
  int dy = 0;       // the input that is cut, along its last axis: the output's gradient
  int32_t rows = 0;
};

std::optional<WeightGradient> splittable(const Graph& graph, const Node& update,
                                         const std::vector<std::vector<NodeId>>& readers) {
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
  const Cut rows = cut_output(graph, node, 0, 0);
  // Only a sum over pixels or examples is worth it, of which one operand is cut along its last
  // axis.
  if (!rows.possible || op_macs(graph, node) == 0) return std::nullopt;
  int dy = -1;
  for (int i = 0; i < static_cast<int>(node.inputs.size()); ++i) {
    if (rows.axis[static_cast<size_t>(i)] < 0) continue;
    if (dy >= 0 || rows.axis[static_cast<size_t>(i)] + 1 != graph.shape(node.inputs[i]).rank)
      return std::nullopt;
    dy = i;
  }
  return WeightGradient{static_cast<size_t>(producer), dy, graph.shape(gradient)[0]};
}

using Strips = GradientSplitter::Strips;

// Replaces updates and their gradients by strips, at the place of the update.
class Splitter {
 public:
  Splitter(const Graph& graph, const Strips& strips)
      : graph_(graph), strips_(strips), readers_(graph.readers()), result_(graph) {}

  Graph split() {
    std::vector<bool> dropped(graph_.nodes.size());
    for (const Node& node : graph_.nodes)
      if (count(node) > 1) dropped[splittable(graph_, node, readers_)->node] = true;
    result_.nodes.clear();
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (dropped[n]) continue;
      if (count(graph_.nodes[n]) > 1)
        emit_strips(graph_.nodes[n], count(graph_.nodes[n]));
      else
        result_.nodes.push_back(graph_.nodes[n]);
    }
    result_.index();
    return std::move(result_);
  }

  // By the first output of a strip's update: that of the whole update.
  const std::map<ValueId, ValueId>& whole_updates() const { return whole_updates_; }

 private:
  struct Rows {
    int32_t begin, end;
  };

  int count(const Node& node) const {
    const auto found = strips_.find(node.outputs[0]);
    return found == strips_.end() ? 1 : found->second;
  }

  void emit_strips(const Node& update, int count) {
    const WeightGradient whole = *splittable(graph_, update, readers_);
    std::vector<Rows> strips;
    for (int i = 0; i < count; ++i)
      strips.push_back({static_cast<int32_t>(int64_t{whole.rows} * i / count),
                        static_cast<int32_t>(int64_t{whole.rows} * (i + 1) / count)});
    // All views of the old values come before the first of them is overwritten.
    std::vector<std::vector<ValueId>> inputs;
    const Cut cut = attune::cut(graph_, update, 1, 0);  // along rows of the gradient
    for (Rows rows : strips) inputs.push_back(pieces(update, cut, rows));
    ValueId parameter = update.inputs[0];
    for (size_t i = 0; i < strips.size(); ++i) {
      std::vector<ValueId>& in = inputs[i];
      in[1] = gradient(graph_.nodes[whole.node], whole.dy, strips[i]);
      // With the rows named by indices, each strip goes on from what the one before it wrote.
      if (cut.chained != 0) in[0] = parameter;
      parameter = result_.emit(update.op, update.attrs, in, update.name);
      whole_updates_[parameter] = update.outputs[0];
    }
  }

  // The update's inputs, cut to some rows where they lie; the gradient is still missing.
  std::vector<ValueId> pieces(const Node& update, const Cut& cut, Rows rows) {
    std::vector<ValueId> inputs = update.inputs;
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (i == 1 || inputs[i] == kNone || cut.axis[i] < 0) continue;
      inputs[i] = graph_.value(inputs[i]).role == Role::constant ? some_indices(inputs[i], rows)
                                                                 : view(inputs[i], rows);
    }
    return inputs;
  }

  ValueId view(ValueId v, Rows rows) {
    Shape shape = graph_.shape(v);
    const int64_t row = shape.product(1, shape.rank);
    shape[0] = rows.end - rows.begin;
    const ValueId y =
        result_.emit(Op::slice, SliceAttrs{0, rows.begin}, {v}, strip_name(v), &shape);
    result_.value(y).lies_in = v;
    result_.value(y).lies_at = rows.begin * row;
    return y;
  }

  // Rows of the weight's gradient, from these channels of the output's.
  ValueId gradient(const Node& whole, int dy_input, Rows rows) {
    std::vector<ValueId> inputs = whole.inputs;
    ValueId& dy = inputs[static_cast<size_t>(dy_input)];
    Shape shape = graph_.shape(dy);
    const int axis = shape.rank - 1;
    shape[axis] = rows.end - rows.begin;
    dy = result_.emit(Op::slice, SliceAttrs{axis, rows.begin}, {dy}, strip_name(dy), &shape);
    return result_.emit(whole.op, whole.attrs, inputs, whole.name);
  }

  ValueId some_indices(ValueId indices, Rows rows) {
    const std::vector<int64_t> all = graph_.value(indices).data->ints();
    return result_.add_index_constant(strip_name(indices),
                                      {all.begin() + rows.begin, all.begin() + rows.end});
  }

  std::string strip_name(ValueId v) const { return graph_.value(v).name + "/strip"; }

  const Graph& graph_;
  const Strips& strips_;
  const std::vector<std::vector<NodeId>> readers_;
  Graph result_;
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

// Strips of no more than `bytes` for every gradient that is larger.
Strips finest_strips(const Graph& graph, int64_t bytes) {
  Strips strips;
  const auto readers = graph.readers();
  for (const Node& update : graph.nodes) {
    const auto found = splittable(graph, update, readers);
    if (!found) continue;
    const Value& gradient = graph.value(update.inputs[1]);
    const auto size = static_cast<int64_t>(
        dtype_bytes(gradient.dtype, static_cast<size_t>(gradient.shape.elements())));
    const int64_t count = std::min<int64_t>(found->rows, (size + bytes - 1) / bytes);
    if (count > 1) strips[update.outputs[0]] = static_cast<int>(count);
  }
  return strips;
}

// Fewer and fewer strips while the peak stays within `limit`.
Strips fewest_strips(const Graph& graph, Strips strips, int64_t limit) {
  for (auto& [update, count] : strips) {
    const int finest = count;
    for (count = 1; count < finest; count = std::min(2 * count, finest))
      if (peak_behind_loss(Splitter(graph, strips).split()) <= limit) break;
  }
  return strips;
}

constexpr int64_t kFinest = 32;  // strips of the largest gradient that could be

}  // namespace

GradientSplitter::GradientSplitter(const Graph& graph)
    : peak_(peak_behind_loss(graph)),
      finest_(finest_strips(graph, std::max<int64_t>(1, peak_ / kFinest))),
      ordered_(graph) {
  if (finest_.empty()) return;
  // What is best to run when is another question with strips than without.
  Splitter finest(graph, finest_);
  Graph split = finest.split();
  schedule(split);
  ordered_.nodes = order_of(split, graph, finest);
  ordered_.index();
  least_ = peak_behind_loss(Splitter(ordered_, finest_).split());
}

std::shared_ptr<PackedGraph> GradientSplitter::split(int64_t budget_bytes) {
  if (finest_.empty() || peak_ <= budget_bytes) return nullptr;
  const Strips strips = fewest_strips(ordered_, finest_, std::max(least_, budget_bytes));
  const auto [known, is_new] = known_.try_emplace(strips);
  if (is_new) known->second = in_strips(strips);
  return known->second;
}

std::shared_ptr<PackedGraph> GradientSplitter::in_strips(const Strips& strips) const {
  Graph split = Splitter(ordered_, strips).split();
  lower_peak(split);
  split.index();
  if (peak_behind_loss(split) >= peak_) return nullptr;
  return std::make_shared<PackedGraph>(std::move(split));
}

}  // namespace attune
