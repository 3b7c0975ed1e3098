#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "graph/memory/storage.h"
#include "graph/passes/passes.h"
#include "graph/slicing/piece_emitter.h"

namespace attune {
namespace {

// More than so many parts would be more steps than they gain.
constexpr int kMostParts = 16;

// That the peak of memory may rise, as the backward part stays together.
constexpr double kMostRise = 1.01;
// To which it must fall where there is nothing else to gain.
constexpr double kLeastFall = 0.9;

double peak_of(const Graph& graph) {
  return static_cast<double>(
      assign_storage(graph).lower_bound(static_cast<int>(graph.nodes.size())));
}

// Only layers on images and signals are worth it, and nothing that only copies.
bool is_streamed(const Graph& graph, const Node& node) {
  for (Op op : {Op::concat, Op::slice, Op::gather})
    if (node.op == op) return false;
  return graph.shape(node.op == Op::reshape ? node.outputs[0] : node.inputs[0]).rank >= 3;
}

class Streaming {
 public:
  Streaming(const Graph& graph, const WorthStreaming& worth)
      : graph_(graph),
        worth_(worth),
        batched_(graph.values.size()),
        early_(graph.nodes.size()),
        backward_(graph.nodes.size()),
        rules_(graph.nodes.size()) {}

  // Whether the first layers wait for memory that a cache could replace.
  bool saves_traffic() const { return saves_traffic_; }

  // Nothing where that gains nothing.
  std::optional<Graph> run() {
    if (!find_batch() || !find_early() || !find_backward()) return std::nullopt;
    return rebuilt();
  }

 private:
  size_t index(int32_t i) const { return static_cast<size_t>(i); }
  const Node& node(size_t n) const { return graph_.nodes[n]; }
  bool is_batched(ValueId v) const { return v != kNone && batched_[index(v)]; }
  bool has_batch(ValueId v) const {
    return graph_.shape(v).rank > 0 && graph_.shape(v)[0] == batch_;
  }

  // The batch is what the model's first input has in front.
  bool find_batch() {
    batch_ = graph_.shape(graph_.inputs.front().value)[0];
    for (int size = 1; size < batch_ && part_ == 0; ++size)
      if (batch_ % size == 0 && batch_ / size <= kMostParts) part_ = size;
    if (part_ == 0) return false;
    for (const Port& port : graph_.inputs) batched_[index(port.value)] = has_batch(port.value);
    return true;
  }

  // By the batch of a node's inputs: its outputs have the examples in front, too, or are sums over
  // them (gradients of parameters). Nothing where the operator mixes examples.
  std::optional<PieceRule> example_rule(const Node& n) const {
    if (!is_streamed(graph_, n)) return std::nullopt;
    const auto first =
        std::find_if(n.inputs.begin(), n.inputs.end(), [&](ValueId v) { return is_batched(v); });
    if (first == n.inputs.end()) return std::nullopt;
    auto rule = piece_rule(graph_, n, static_cast<int>(first - n.inputs.begin()), 0);
    if (!rule || rule->cut.chained != 0 || rule->cut.terms != 0) return std::nullopt;
    // What has the examples in front is cut there, and nothing else is.
    for (size_t i = 0; i < n.inputs.size(); ++i)
      if (n.inputs[i] != kNone && rule->cut.axis[i] != (is_batched(n.inputs[i]) ? 0 : -1))
        return std::nullopt;
    for (size_t o = 0; o < n.outputs.size(); ++o)
      if (rule->cut.axis[n.inputs.size() + o] > 0) return std::nullopt;
    return rule;
  }

  // Whether all of a node goes by examples. Sets what its outputs are.
  bool goes_by_examples(size_t at) {
    const Node& n = node(at);
    auto rule = example_rule(n);
    if (!rule) return false;
    for (const auto* values : {&n.inputs, &n.outputs})
      for (ValueId v : *values)
        if (v != kNone && (graph_.value(v).lies_in != kNone || graph_.value(v).updates != kNone))
          return false;
    for (size_t o = 0; o < n.outputs.size(); ++o)
      if (n.outputs[o] != kNone && rule->cut.axis[n.inputs.size() + o] == 0)
        batched_[index(n.outputs[o])] = true;
    rules_[at] = std::move(rule);
    return true;
  }

  bool reads_batched(const Node& n) const {
    return std::any_of(n.inputs.begin(), n.inputs.end(), [&](ValueId v) { return is_batched(v); });
  }

  // The first layers, up to where weights are no longer small beside an example.
  bool find_early() {
    int64_t most = 0, bytes = 0, macs = 0;
    int count = 0;
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      const Node& at = node(n);
      if (op_info(at.op).kind == OpKind::loss || op_info(at.op).kind == OpKind::update) break;
      if (!reads_batched(at)) continue;
      int64_t weights = 0, examples = 0;
      for (ValueId v : at.inputs)
        if (v != kNone) (is_batched(v) ? examples : weights) += graph_.value(v).bytes();
      for (ValueId y : at.outputs)
        if (y != kNone) examples += graph_.value(y).bytes();
      if (examples / batch_ < worth_.times_weights * weights) break;
      // A sum over the batch that the forward pass goes on with wants the whole of it.
      const auto is_sum = [&](ValueId y) { return y != kNone && !is_batched(y); };
      if (!goes_by_examples(n) || std::any_of(at.outputs.begin(), at.outputs.end(), is_sum)) {
        for (ValueId y : at.outputs)
          if (y != kNone) batched_[index(y)] = false;
        break;
      }
      early_[n] = true;
      if (at.op == Op::reshape) continue;
      last_early_ = n;
      ++count;
      most = std::max(most, examples);
      bytes += examples;
      macs += op_macs(graph_, at);
    }
    std::fill(early_.begin() + static_cast<std::ptrdiff_t>(last_early_) + 1, early_.end(), false);
    saves_traffic_ = most > worth_.bytes && macs <= worth_.macs_per_byte * bytes;
    // One layer alone has none behind it that finds its output in the cache.
    return count > 1;
  }

  // Of the backward pass: what reads what the first layers alone know, and what follows from that.
  bool find_backward() {
    std::vector<bool> read_later(graph_.values.size());
    size_t loss = graph_.nodes.size();
    for (size_t n = 0; n < graph_.nodes.size() && loss == graph_.nodes.size(); ++n)
      if (op_info(node(n).op).kind == OpKind::loss) loss = n;
    const size_t behind_loss = std::min(loss + 1, graph_.nodes.size());
    for (size_t n = last_early_ + 1; n < behind_loss; ++n)
      for (ValueId v : node(n).inputs)
        if (v != kNone) read_later[index(v)] = true;
    std::vector<bool> starts(graph_.values.size());
    for (size_t n = 0; n <= last_early_; ++n)
      if (early_[n])
        for (ValueId y : node(n).outputs)
          if (y != kNone && !read_later[index(y)]) starts[index(y)] = true;
    for (size_t n = loss; n < graph_.nodes.size(); ++n) {
      const Node& at = node(n);
      const bool reads = std::any_of(at.inputs.begin(), at.inputs.end(),
                                     [&](ValueId v) { return v != kNone && starts[index(v)]; });
      if (!reads) continue;
      // Gradients of later layers come with the batch in front.
      for (ValueId v : at.inputs)
        if (v != kNone && graph_.value(v).producer >= static_cast<NodeId>(loss) && has_batch(v))
          batched_[index(v)] = true;
      if (!goes_by_examples(n)) return false;
      backward_[n] = true;
      for (ValueId y : at.outputs)
        if (is_batched(y)) starts[index(y)] = true;
    }
    return true;
  }

  Graph rebuilt() const {
    std::vector<std::pair<NodeId, PieceRule>> nodes;
    NodeId read = kNone;  // the last node that the backward part reads
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (early_[n] || backward_[n]) nodes.push_back({static_cast<NodeId>(n), *rules_[n]});
      for (ValueId v : node(n).inputs)
        if (const NodeId from = v == kNone ? kNone : graph_.value(v).producer;
            backward_[n] && from != kNone && !backward_[index(from)])
          read = std::max(read, from);
    }
    const Region region = make_region(graph_, nodes);
    const auto last_early = static_cast<NodeId>(last_early_);
    return in_pieces(graph_, Dependencies(graph_), region,
                     {{pieces(region, early_), last_early},
                      {pieces(region, backward_), std::max(read, last_early)}},
                     {}, "example");
  }

  // One example after the other, of the nodes of a part.
  std::vector<Piece> pieces(const Region& region, const std::vector<bool>& part) const {
    std::vector<Piece> all;
    for (int first = 0; first < batch_; first += part_)
      for (size_t n = 0; n < region.nodes.size(); ++n)
        if (part[index(region.nodes[n].id)])
          all.push_back({static_cast<int>(n), {first, first + part_}});
    return all;
  }

  const Graph& graph_;
  const WorthStreaming worth_;
  int32_t batch_ = 0, part_ = 0;                 // examples of all, and of a part
  std::vector<bool> batched_;                    // by value: it has the examples in front
  std::vector<bool> early_;                      // by node
  std::vector<bool> backward_;                   // by node
  std::vector<std::optional<PieceRule>> rules_;  // by node
  size_t last_early_ = 0;
  bool saves_traffic_ = false;
};

}  // namespace

bool stream_examples(Graph& graph, const WorthStreaming& worth) {
  graph.index();
  Streaming streaming(graph, worth);
  std::optional<Graph> streamed = streaming.run();
  if (!streamed) return false;
  const double rise = peak_of(*streamed) / peak_of(graph);
  if (rise > (streaming.saves_traffic() ? kMostRise : kLeastFall)) return false;
  graph = std::move(*streamed);
  return true;
}

}  // namespace attune
