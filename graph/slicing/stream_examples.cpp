#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "graph/ir/error.h"
#include "graph/memory/storage.h"
#include "graph/passes/passes.h"
#include "graph/rules/cut.h"
#include "graph/rules/rules.h"

namespace attune {
namespace {

// More than so many parts would be more steps than they gain.
constexpr int kMostParts = 16;

// What the examples of a batch are in an output.
enum class Along {
  batch,  // one beside the other: output 0 of most
  sum,    // added up: gradients of parameters
};

// That the peak of memory may rise, as the backward part stays together.
constexpr double kMostRise = 1.01;
// To which it must fall where there is nothing else to gain.
constexpr double kLeastFall = 0.9;

double peak_of(const Graph& graph) {
  return static_cast<double>(
      assign_storage(graph).lower_bound(static_cast<int>(graph.nodes.size())));
}

// Only layers on images are worth it, and nothing that only copies. A reshape is a view of memory,
// which pieces do not share.
bool is_streamed(const Graph& graph, const Node& node) {
  for (Op op : {Op::concat, Op::slice, Op::gather, Op::reshape})
    if (node.op == op) return false;
  return graph.shape(node.inputs[0]).rank == 4;
}

class Streaming {
 public:
  Streaming(const Graph& graph, const WorthStreaming& worth)
      : graph_(graph),
        worth_(worth),
        batched_(graph.values.size()),
        early_(graph.nodes.size()),
        backward_(graph.nodes.size()),
        behind_(graph.nodes.size()),
        result_(graph) {}

  // Whether the first layers wait for memory that a cache could replace.
  bool saves_traffic() const { return saves_traffic_; }

  // Nothing where that gains nothing.
  std::optional<Graph> run() {
    if (!find_batch() || !find_early() || !find_backward()) return std::nullopt;
    find_crossing();
    rebuild();
    return std::move(result_);
  }

 private:
  size_t index(int32_t i) const { return static_cast<size_t>(i); }
  const Node& node(size_t n) const { return graph_.nodes[n]; }
  bool is_batched(ValueId v) const { return v != kNone && batched_[index(v)]; }
  bool has_batch(ValueId v) const {
    return graph_.shape(v).rank > 0 && graph_.shape(v)[0] == batch_;
  }
  int64_t bytes_of(ValueId v) const {
    const Value& value = graph_.value(v);
    return static_cast<int64_t>(
        dtype_bytes(value.dtype, static_cast<size_t>(value.shape.elements())));
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

  // How the examples are in each output of a node, by the cut along the batch of its inputs;
  // nothing where the operator mixes examples.
  std::optional<std::vector<Along>> along(const Node& n) const {
    if (!is_streamed(graph_, n)) return std::nullopt;
    const auto first =
        std::find_if(n.inputs.begin(), n.inputs.end(), [&](ValueId v) { return is_batched(v); });
    if (first == n.inputs.end()) return std::nullopt;
    const Cut cut = attune::cut(graph_, n, static_cast<int>(first - n.inputs.begin()), 0);
    if (!cut.possible || cut.window || cut.chained != 0 || cut.terms != 0) return std::nullopt;
    // What has the examples in front is cut there, and nothing else is.
    for (size_t i = 0; i < n.inputs.size(); ++i)
      if (n.inputs[i] != kNone && cut.axis[i] != (is_batched(n.inputs[i]) ? 0 : -1))
        return std::nullopt;
    std::vector<Along> outputs;
    for (size_t o = 0; o < n.outputs.size(); ++o) {
      const int axis = cut.axis[n.inputs.size() + o];
      if (axis > 0) return std::nullopt;
      outputs.push_back(axis == 0 ? Along::batch : Along::sum);
    }
    return outputs;
  }

  // Whether all of a node goes by examples. Sets what its outputs are.
  bool goes_by_examples(const Node& n) {
    const auto outputs = along(n);
    if (!outputs) return false;
    for (const auto* values : {&n.inputs, &n.outputs})
      for (ValueId v : *values)
        if (v != kNone && (graph_.value(v).lies_in != kNone || graph_.value(v).updates != kNone))
          return false;
    for (size_t o = 0; o < n.outputs.size(); ++o)
      if (n.outputs[o] != kNone && (*outputs)[o] == Along::batch)
        batched_[index(n.outputs[o])] = true;
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
        if (v != kNone) (is_batched(v) ? examples : weights) += bytes_of(v);
      for (ValueId y : at.outputs)
        if (y != kNone) examples += bytes_of(y);
      if (examples / batch_ < worth_.times_weights * weights) break;
      // A sum over the batch that the forward pass goes on with wants the whole of it.
      const auto is_sum = [&](ValueId y) { return y != kNone && !is_batched(y); };
      if (!goes_by_examples(at) || std::any_of(at.outputs.begin(), at.outputs.end(), is_sum)) {
        for (ValueId y : at.outputs)
          if (y != kNone) batched_[index(y)] = false;
        break;
      }
      early_[n] = true;
      last_early_ = n;
      ++count;
      most = std::max(most, examples);
      bytes += examples;
      macs += op_macs(graph_, at);
    }
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
      if (!goes_by_examples(at)) return false;
      backward_[n] = true;
      for (ValueId y : at.outputs)
        if (is_batched(y)) starts[index(y)] = true;
    }
    find_behind();
    return true;
  }

  // What has to wait for the backward part: what reads it, and updates of what it reads.
  void find_behind() {
    std::vector<bool> late(graph_.values.size()), read(graph_.values.size());
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (!backward_[n]) continue;
      for (ValueId v : node(n).inputs)
        for (; v != kNone; v = source_of_reshape(v)) read[index(v)] = true;
      for (ValueId y : node(n).outputs)
        if (y != kNone) late[index(y)] = true;
    }
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (backward_[n]) continue;
      for (ValueId v : node(n).inputs) behind_[n] = behind_[n] || (v != kNone && late[index(v)]);
      for (ValueId y : node(n).outputs)
        behind_[n] = behind_[n] || (y != kNone && graph_.value(y).updates != kNone &&
                                    read[index(graph_.root(graph_.value(y).updates))]);
      if (behind_[n])
        for (ValueId y : node(n).outputs)
          if (y != kNone) late[index(y)] = true;
    }
  }

  // Of the same elements in another shape; kNone where a value is no such view.
  ValueId source_of_reshape(ValueId v) const {
    const NodeId producer = graph_.value(v).producer;
    if (producer == kNone || node(index(producer)).op != Op::reshape) return kNone;
    return node(index(producer)).inputs[0];
  }

  // Values of either part that others read: the whole batch of them is put together.
  void find_crossing() {
    std::vector<bool> read(graph_.values.size());
    for (const Port& port : graph_.outputs) read[index(port.value)] = true;
    for (size_t n = 0; n < graph_.nodes.size(); ++n)
      if (!early_[n] && !backward_[n])
        for (ValueId v : node(n).inputs)
          if (v != kNone) read[index(v)] = true;
    crossing_ = std::move(read);
  }

  void rebuild() {
    result_.nodes.clear();
    size_t n = 0;
    for (; n <= last_early_; ++n)
      if (!early_[n]) keep(n);
    emit(early_);
    // The backward part as soon as all that it reads is there.
    const auto is_part = [](bool in) { return in; };
    if (std::any_of(backward_.begin(), backward_.end(), is_part)) {
      std::vector<bool> needed(graph_.values.size());
      for (size_t b = 0; b < graph_.nodes.size(); ++b)
        if (backward_[b])
          for (ValueId v : node(b).inputs)
            if (v != kNone) needed[index(v)] = true;
      size_t last = n;
      for (size_t m = n; m < graph_.nodes.size(); ++m)
        if (!backward_[m] && !behind_[m])
          for (ValueId y : node(m).outputs)
            if (y != kNone && needed[index(y)]) last = m + 1;
      std::vector<size_t> waiting;
      for (; n < last; ++n) {
        if (backward_[n]) continue;
        if (behind_[n])
          waiting.push_back(n);
        else
          keep(n);
      }
      emit(backward_);
      for (size_t m : waiting) keep(m);
    }
    for (; n < graph_.nodes.size(); ++n)
      if (!backward_[n]) keep(n);
    for (Port& port : result_.outputs) port.value = final(port.value);
    result_.index();
  }

  ValueId final(ValueId v) const {
    const auto found = sums_.find(v);
    return found == sums_.end() ? v : found->second.so_far;
  }

  void keep(size_t n) {
    Node kept = node(n);
    for (ValueId& v : kept.inputs)
      if (v != kNone) v = final(v);
    result_.nodes.push_back(std::move(kept));
  }

  // The nodes of a part, for one example after the other.
  void emit(const std::vector<bool>& part) {
    for (int first = 0; first < batch_; first += part_) {
      for (size_t n = 0; n < graph_.nodes.size(); ++n)
        if (part[n]) emit(node(n), first);
      if (first == 0)
        for (auto& [v, sum] : sums_) sum.first = sum.so_far;
    }
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      if (!part[n]) continue;
      for (ValueId y : node(n).outputs) {
        if (y == kNone || !is_batched(y) || !crossing_[index(y)]) continue;
        Node whole;
        whole.op = Op::concat;
        whole.attrs = AxisAttrs{0};
        for (int first = 0; first < batch_; first += part_)
          whole.inputs.push_back(copies_.at({y, first}));
        whole.outputs = {y};
        whole.name = graph_.value(y).name + "/examples";
        result_.nodes.push_back(std::move(whole));
      }
    }
  }

  void emit(const Node& of, int first) {
    Node made = of;
    made.name = fmt::format("{}/example{}", of.name, first);
    for (ValueId& v : made.inputs)
      if (is_batched(v)) v = examples(v, first);
    std::vector<std::pair<ValueId, ValueId>> terms;
    for (ValueId& y : made.outputs) {
      if (y == kNone) continue;
      const ValueId whole = y;
      Value value = graph_.value(y);
      value.model_tensor.clear();
      if (is_batched(y)) {
        value.shape[0] = part_;
        if (crossing_[index(y)]) {
          value.lies_in = y;
          value.lies_at = first * value.shape.product(1, value.shape.rank);
        }
        y = copies_[{whole, first}] = result_.add_value(std::move(value));
      } else {
        y = result_.add_value(std::move(value));
        terms.push_back({whole, y});
      }
    }
    result_.nodes.push_back(std::move(made));
    for (const auto& [whole, term] : terms) add_up(whole, term);
  }

  void add_up(ValueId whole, ValueId term) {
    const auto found = sums_.find(whole);
    if (found == sums_.end()) {
      sums_[whole] = {term, term};
      return;
    }
    Sum& sum = found->second;
    sum.so_far =
        result_.emit(Op::add, NoAttrs{}, {sum.so_far, term}, graph_.value(whole).name + "/sum");
    result_.value(sum.so_far).lies_in = sum.first;
  }

  // These examples of a batch: what the part computed of it, or a view of it.
  ValueId examples(ValueId v, int first) {
    const auto [found, fresh] = copies_.try_emplace({v, first}, kNone);
    if (!fresh) return found->second;
    Shape shape = graph_.shape(v);
    shape[0] = part_;
    const ValueId part = result_.emit(Op::slice, SliceAttrs{0, first}, {v},
                                      graph_.value(v).name + "/example", &shape);
    result_.value(part).lies_in = graph_.root(v);
    result_.value(part).lies_at = graph_.value(v).lies_at + first * shape.product(1, shape.rank);
    return copies_[{v, first}] = part;
  }

  struct Sum {
    ValueId first = kNone, so_far = kNone;  // in the result
  };

  const Graph& graph_;
  const WorthStreaming worth_;
  int32_t batch_ = 0, part_ = 0;  // examples of all, and of a part
  std::vector<bool> batched_;     // by value: it has the examples in front
  std::vector<bool> early_;       // by node
  std::vector<bool> backward_;    // by node
  std::vector<bool> behind_;      // by node
  std::vector<bool> crossing_;    // by value
  size_t last_early_ = 0;
  bool saves_traffic_ = false;
  Graph result_;
  std::map<std::pair<ValueId, int>, ValueId> copies_;  // of a value, from an example on
  std::map<ValueId, Sum> sums_;                        // by value of the given graph
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
