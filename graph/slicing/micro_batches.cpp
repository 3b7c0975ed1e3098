#include "graph/slicing/micro_batches.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "attune/port.h"
#include "graph/memory/storage.h"

namespace attune {
namespace {

// The weight of a micro-batch's examples, of the whole batch's.
constexpr const char* kShare = "share";
constexpr const char* kSum = "sum:";

class Repetition {
 public:
  Repetition(const Graph& micro, int count)
      : micro_(micro),
        count_(count),
        readers_(micro.readers()),
        storage_(assign_storage(micro)),
        members_(storage_.storages.size()),
        whole_(micro) {
    for (int storage : storage_.of_value)
      if (storage >= 0) ++members_[static_cast<size_t>(storage)];
  }

  Graph run() {
    whole_.nodes.clear();
    whole_.inputs.clear();
    whole_.outputs.clear();
    find_sums();
    take_whole_batches();
    for (int m = 0; m < count_; ++m) {
      start(m);
      if (m == 1) first_terms_.clear();
      for (const Node& node : micro_.nodes) repeat(node);
    }
    for (const Sum& sum : sums_) whole_.outputs.push_back({sum.name, sum.so_far});
    whole_.index();
    return std::move(whole_);
  }

 private:
  // An output that is added up: `after` is `before` and what one micro-batch adds.
  struct Sum {
    std::string name;
    ValueId before, after;
    ValueId first = kNone, so_far = kNone;  // in the whole graph
  };

  // Memory of a micro-batch: where it is the second time is where it was the first time.
  struct Place {
    ValueId root = kNone;  // in the whole graph
    int64_t at = 0;        // elements
  };

  void find_sums() {
    for (const Port& port : micro_.outputs) {
      sums_.push_back(
          {port.name.substr(std::string(kSum).size()), micro_.input(port.name), port.value});
      if (const ValueId term = term_of(sums_.back()); is_only_added(term))
        first_terms_.insert(term);
    }
  }

  ValueId term_of(const Sum& sum) const {
    const Node& node = micro_.nodes[static_cast<size_t>(micro_.value(sum.after).producer)];
    return node.inputs[node.inputs[0] == sum.before ? 1 : 0];
  }

  // Whether a value's memory holds nothing else, and nothing but a sum reads it.
  bool is_only_added(ValueId term) const {
    return micro_.value(term).role == Role::temporary &&
           readers_[static_cast<size_t>(term)].size() == 1 &&
           members_[static_cast<size_t>(storage_of(term))] == 1;
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
    total_ = whole_.emit(Op::reduce, ReduceAttrs{1}, {whole_.input(port_name(PortRole::weight))},
                         "weights/total");
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
      const Place place = {batch, first * shape.product(1, shape.rank)};
      whole_.value(examples).lies_in = place.root;
      whole_.value(examples).lies_at = place.at;
      places_[storage_of(part)] = place;
      copies_[part] = examples;
    }
    const ValueId weight =
        whole_.emit(Op::reduce, ReduceAttrs{1},
                    {copies_.at(micro_.input(port_name(PortRole::weight)))}, "weights/micro/total");
    copies_[micro_.input(kShare)] =
        whole_.emit(Op::div, NoAttrs{}, {weight, total_}, "weights/micro/share");
    for (const Sum& sum : sums_) copies_[sum.before] = sum.so_far;
  }

  void repeat(const Node& node) {
    const auto sum = std::find_if(sums_.begin(), sums_.end(),
                                  [&](const Sum& s) { return s.after == node.outputs[0]; });
    if (sum != sums_.end()) return add_up(node, *sum);
    Node repeated = node;
    for (auto* ids : {&repeated.inputs, &repeated.outputs})
      for (ValueId& v : *ids) v = copy(v);
    whole_.nodes.push_back(std::move(repeated));
  }

  // The first micro-batch computes what it adds where the sum is to be.
  void add_up(const Node& node, Sum& sum) {
    const ValueId term = term_of(sum);
    if (sum.first != kNone) {
      sum.so_far = whole_.emit(node.op, node.attrs, {sum.so_far, copy(term)}, node.name);
      whole_.value(sum.so_far).lies_in = sum.first;
    } else if (first_terms_.contains(term)) {
      sum.first = sum.so_far = copy(term);
    } else {
      const ValueId zero = whole_.add_constant(node.name + "/zero", Shape{1}, {0});
      sum.first = sum.so_far = whole_.emit(Op::add, NoAttrs{}, {zero, copy(term)}, node.name);
    }
    copies_[sum.after] = sum.so_far;
  }

  // What a value of the micro-batch's graph is in the present repetition.
  ValueId copy(ValueId v) {
    if (v == kNone) return kNone;
    if (const auto found = copies_.find(v); found != copies_.end()) return found->second;
    if (micro_.value(v).role != Role::temporary) return v;
    Value value = micro_.value(v);
    // Some examples of the model's tensor are not that tensor.
    value.model_tensor.clear();
    value.lies_in = kNone;
    value.lies_at = 0;
    const bool is_sum = first_terms_.contains(v);
    if (!is_sum) put_in_place(v, &value);
    const bool is_root = !is_sum && value.lies_in == kNone &&
                         storage_.storages[static_cast<size_t>(storage_of(v))].root == v;
    const ValueId made = copies_[v] = whole_.add_value(std::move(value));
    if (is_root) places_[storage_of(v)] = {made, 0};
    return made;
  }

  // Where the micro-batch's graph has it: every repetition uses the same memory, however many there
  // are. What is written over an example has memory of its own, as the batch is an input to the
  // end.
  void put_in_place(ValueId v, Value* value) {
    const int storage = storage_of(v);
    const ValueId root = storage_.storages[static_cast<size_t>(storage)].root;
    const bool of_batch = batches_.contains(root);
    const bool placed = places_.contains(storage);
    if (of_batch ? !shows_examples(v) : root == v && !placed) return;
    if (!placed) copy(root);
    const Place& place = places_.at(storage);
    value->lies_in = place.root;
    value->lies_at = place.at + storage_.at[static_cast<size_t>(v)] /
                                    static_cast<int64_t>(dtype_bytes(value->dtype, 1));
  }

  // Whether a value is a part of the examples where they lie, and not written.
  bool shows_examples(ValueId v) const {
    if (batches_.contains(v)) return true;
    const Value& value = micro_.value(v);
    if (value.lies_in == kNone || value.producer < 0) return false;
    const Node& node = micro_.nodes[static_cast<size_t>(value.producer)];
    return is_view(micro_, node) && shows_examples(node.inputs[0]);
  }

  int storage_of(ValueId v) const { return storage_.of_value[static_cast<size_t>(v)]; }

  const Graph& micro_;
  const int count_;
  const std::vector<std::vector<NodeId>> readers_;
  const StorageMap storage_;  // of the micro-batch's graph
  std::vector<int> members_;  // how many values share a storage
  Graph whole_;
  std::vector<Sum> sums_;
  std::set<ValueId> first_terms_;       // that become the sums in the first micro-batch
  std::map<ValueId, ValueId> batches_;  // the micro-batch's inputs, and the whole ones
  std::map<int, Place> places_;         // by the micro-batch's storage
  std::map<ValueId, ValueId> copies_;
  ValueId total_ = kNone;
};

}  // namespace

void weigh_micro_batch(Graph& graph, AttachedLoss& loss) {
  const ValueId share = graph.add_input(kShare, graph.real, Shape{1});
  for (Port& port : graph.outputs)
    if (port.name == port_name(PortRole::loss))
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
