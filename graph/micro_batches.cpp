#include "graph/micro_batches.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace attune {
namespace {

// The weight of a micro-batch's examples, of the whole batch's.
constexpr const char* kShare = "share";
constexpr const char* kSum = "sum:";

class Repetition {
 public:
  Repetition(const Graph& micro, int count) : micro_(micro), count_(count), whole_(micro) {}

  Graph run() {
    whole_.nodes.clear();
    whole_.inputs.clear();
    whole_.outputs.clear();
    find_ports();
    take_whole_batches();
    for (int m = 0; m < count_; ++m) {
      start(m);
      for (const Node& node : micro_.nodes) repeat(node, m);
    }
    for (const Sum& sum : sums_) whole_.outputs.push_back({sum.name, sum.so_far});
    whole_.index();
    whole_.verify();
    return std::move(whole_);
  }

 private:
  // An output that is added up: `after` is `before` and what one micro-batch adds.
  struct Sum {
    std::string name;
    ValueId before, after;
    ValueId so_far = kNone;  // in the whole graph
  };

  void find_ports() {
    for (const Port& port : micro_.outputs) {
      const std::string name = port.name.substr(std::string(kSum).size());
      sums_.push_back({name, micro_.input(port.name), port.value, kNone});
    }
  }

  bool is_sum(ValueId input) const {
    return std::any_of(sums_.begin(), sums_.end(),
                       [&](const Sum& sum) { return sum.before == input; });
  }

  // Ports of whole batches, under the names of the micro-batch's, and the weight of all examples.
  void take_whole_batches() {
    for (const Port& port : micro_.inputs) {
      if (port.name == kShare || is_sum(port.value)) continue;
      const std::string name = whole_.value(port.value).name;
      whole_.rename(port.value, name + "/micro");
      Value whole = micro_.value(port.value);
      whole.name = name;
      whole.shape[0] *= count_;
      const ValueId id = whole_.add_value(std::move(whole));
      whole_.inputs.push_back({port.name, id});
      batches_[port.value] = id;
    }
    const ValueId weights = whole_.input("weights");
    total_ = whole_.emit(Op::reduce, ReduceAttrs{1}, {weights}, "weights/total");
    // Without any weight, shares are 0 and not 0 / 0.
    total_ = whole_.emit(Op::clamp, ClampAttrs{.min = 1e-30}, {total_}, "weights/total");
  }

  // The examples of micro-batch `m`, and their share.
  void start(int m) {
    copies_.clear();
    for (const auto& [part, batch] : batches_) {
      const Shape shape = micro_.shape(part);
      const int32_t first = m * shape[0];
      const ValueId examples =
          whole_.emit(Op::slice, SliceAttrs{0, first}, {batch}, whole_.value(part).name, &shape);
      whole_.value(examples).lies_in = batch;
      whole_.value(examples).lies_at = first * shape.product(1, shape.rank);
      copies_[part] = examples;
    }
    const ValueId weight = whole_.emit(
        Op::reduce, ReduceAttrs{1}, {copies_.at(micro_.input("weights"))}, "weights/micro/total");
    copies_[micro_.input(kShare)] =
        whole_.emit(Op::div, NoAttrs{}, {weight, total_}, "weights/micro/share");
    for (const Sum& sum : sums_) copies_[sum.before] = sum.so_far;
  }

  void repeat(const Node& node, int m) {
    const auto sum = std::find_if(sums_.begin(), sums_.end(),
                                  [&](const Sum& s) { return s.after == node.outputs[0]; });
    if (sum != sums_.end() && m == 0) {  // nothing to add to yet
      const ValueId term = node.inputs[node.inputs[0] == sum->before ? 1 : 0];
      sum->so_far = copies_[sum->after] = copy(term);
      return;
    }
    Node repeated = node;
    for (auto* ids : {&repeated.inputs, &repeated.outputs})
      for (ValueId& v : *ids) v = copy(v);
    if (sum != sums_.end()) sum->so_far = repeated.outputs[0];
    whole_.nodes.push_back(std::move(repeated));
  }

  // What a value of the micro-batch's graph is in the present repetition.
  ValueId copy(ValueId v) {
    if (v == kNone) return kNone;
    if (const auto found = copies_.find(v); found != copies_.end()) return found->second;
    if (micro_.value(v).role != Role::temporary) return v;
    Value value = micro_.value(v);
    // Some examples of the model's tensor are not that tensor.
    value.model_tensor.clear();
    if (value.lies_in != kNone) {
      const ValueId root = copy(value.lies_in);
      value.lies_in = whole_.root(root);
      value.lies_at += whole_.value(root).lies_at;
    }
    return copies_[v] = whole_.add_value(std::move(value));
  }

  const Graph& micro_;
  const int count_;
  Graph whole_;
  std::vector<Sum> sums_;
  std::map<ValueId, ValueId> batches_;  // the micro-batch's inputs, and the whole ones
  std::map<ValueId, ValueId> copies_;
  ValueId total_ = kNone;
};

}  // namespace

void weigh_micro_batch(Graph& graph, AttachedLoss& loss) {
  const ValueId share = graph.add_input(kShare, graph.real, Shape{1});
  for (Port& port : graph.outputs)
    if (port.name == "loss")
      port.value = graph.emit(Op::mul, NoAttrs{}, {port.value, share}, "loss/part");
  for (auto& [prediction, gradient] : loss.seed)
    gradient = graph.emit(Op::mul, NoAttrs{}, {gradient, share}, "loss/grad/part");
}

void add_up_outputs(Graph& graph) {
  for (Port& port : graph.outputs) {
    const Value& term = graph.value(port.value);
    const std::string name = kSum + port.name;
    const ValueId before = graph.add_input(name, term.dtype, term.shape);
    port = {name, graph.emit(Op::add, NoAttrs{}, {before, port.value}, name + "/added")};
  }
}

void repeat_micro_batch(Graph& graph, int count) { graph = Repetition(graph, count).run(); }

}  // namespace attune
