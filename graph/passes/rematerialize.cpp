#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <type_traits>
#include <utility>
#include <variant>

#include "graph/memory/memory_plan.h"
#include "graph/memory/storage.h"
#include "graph/passes/passes.h"
#include "graph/rules/cut.h"
#include "graph/rules/rules.h"
#include "kernels/signature.h"

namespace attune {
namespace {

// The clamp whose mask is output 1 of a node; nothing where that is no mask.
std::optional<ClampAttrs> clamp_of(const Node& node) {
  const Signature& row = signature(node.op);
  if (row.outputs < 2 || row.output(1).operand_type() != OperandType::mask) return std::nullopt;
  if (node.op == Op::hard_sigmoid) return ClampAttrs{0, 1};
  return std::visit(
      [](const auto& attrs) -> std::optional<ClampAttrs> {
        if constexpr (requires { attrs.clamps(); })
          return ClampAttrs{attrs.clamp_min, attrs.clamp_max};
        else if constexpr (std::is_same_v<std::decay_t<decltype(attrs)>, ClampAttrs>)
          return attrs;
        else
          return std::nullopt;
      },
      node.attrs);
}

// The graph with some values computed a second time for what reads them behind the loss.
class Rebuilder {
 public:
  Rebuilder(const Graph& graph, const std::set<ValueId>& twice, size_t loss)
      : graph_(graph), twice_(twice), loss_(loss), result_(graph) {}

  Graph rebuild() {
    result_.nodes.clear();
    for (size_t n = 0; n < graph_.nodes.size(); ++n) {
      Node node = graph_.nodes[n];
      if (n > loss_) {
        keep_old_values(node);
        for (ValueId& v : node.inputs) v = again(v);
      } else if (node.output(1) != kNone && twice_.contains(node.output(1))) {
        node.outputs.resize(1);  // its first readers are behind the loss
      }
      result_.nodes.push_back(std::move(node));
    }
    result_.index();
    return std::move(result_);
  }

 private:
  // The copy of a value that is computed twice; any other as it is.
  ValueId again(ValueId v) {
    if (v == kNone || !twice_.contains(v)) return v;
    if (const auto found = copies_.find(v); found != copies_.end()) return found->second;
    Node node = graph_.nodes[static_cast<size_t>(graph_.value(v).producer)];
    if (v == node.output(1)) {
      // From what it tells of.
      node.attrs = *clamp_of(node);
      node.op = Op::clamp_mask;
      node.inputs = {node.outputs[0]};
      node.name += "/mask";
    }
    for (ValueId& input : node.inputs) input = again(input);
    const Shape shape = graph_.shape(v);
    Node copy = result_.make(node.op, node.attrs, node.inputs, node.name + "/again", &shape);
    const ValueId made = copy.outputs[0];
    result_.nodes.push_back(std::move(copy));
    return copies_[v] = made;
  }

  // What is computed from a parameter comes before the parameter's update.
  void keep_old_values(const Node& node) {
    if (op_info(node.op).kind != OpKind::update) return;
    for (ValueId v : twice_) {
      const Node& maker = graph_.nodes[static_cast<size_t>(graph_.value(v).producer)];
      if (v != maker.outputs[0]) continue;
      for (ValueId y : node.outputs)
        if (y != kNone && std::find(maker.inputs.begin(), maker.inputs.end(),
                                    graph_.root(graph_.value(y).updates)) != maker.inputs.end())
          again(v);
    }
  }

  const Graph& graph_;
  const std::set<ValueId>& twice_;
  const size_t loss_;
  Graph result_;
  std::map<ValueId, ValueId> copies_;
};

// What may be computed again.
enum class Again { all, masks };

class Rematerialization {
 public:
  Rematerialization(const Graph& graph, size_t loss, Again what)
      : graph_(graph), loss_(loss), best_(graph), most_alive_(graph) {
    const auto all_readers = graph.readers();
    const auto add = [&](ValueId v, bool may_be_read_before) {
      if (v == kNone || graph.is_output(v) || graph.value(v).lies_in != kNone) return;
      const std::vector<NodeId>& readers = all_readers[static_cast<size_t>(v)];
      const auto last_before = static_cast<NodeId>(loss);
      if (readers.empty() || readers.back() <= last_before) return;
      if (may_be_read_before || readers.front() > last_before) candidates_.push_back(v);
    };
    for (size_t n = 0; n < loss; ++n) {
      const Node& node = graph.nodes[n];
      if (op_info(node.op).kind == OpKind::update || is_view(graph, node)) continue;
      if (what == Again::all) add(node.outputs[0], true);
      if (clamp_of(node)) add(node.output(1), false);
    }
    // The most bytes for a multiplication first, masks last.
    std::stable_sort(candidates_.begin(), candidates_.end(),
                     [&](ValueId a, ValueId b) { return worth(a) > worth(b); });
  }

  // Adds to what is computed twice while that lowers the peak; goes on where the last budget was
  // reached.
  const Graph& run(int64_t budget) {
    while (most_alive_.peak.first > budget && !exhausted_) exhausted_ = !add_one();
    return best_;
  }

  // Whether nothing more would help.
  bool exhausted() const { return exhausted_; }

 private:
  double worth(ValueId v) const {
    const Node& node = graph_.nodes[static_cast<size_t>(graph_.value(v).producer)];
    if (v != node.outputs[0]) return -1;
    const double elements = static_cast<double>(graph_.shape(v).elements());
    return elements / (elements + static_cast<double>(op_macs(graph_, node)));
  }

  // Where most bytes of a graph are alive.
  struct MostAlive {
    explicit MostAlive(const Graph& graph) : storage(assign_storage(graph)) {
      const auto live = storage.live_bytes(static_cast<int>(graph.nodes.size()));
      const auto most = std::max_element(live.begin(), live.end());
      peak = {*most, std::count(live.begin(), live.end(), *most)};
      step = static_cast<int>(most - live.begin()) - 1;
    }
    bool includes(ValueId v) const {
      const auto s = static_cast<size_t>(storage.of_value[static_cast<size_t>(v)]);
      return storage.storages[s].life.first < step && storage.storages[s].life.last > step;
    }

    StorageMap storage;
    // The most bytes, and in how many steps: of two peaks alike, one falls first.
    std::pair<int64_t, std::ptrdiff_t> peak;
    int step = 0;
  };

  bool add_one() {
    for (ValueId v : candidates_) {
      if (twice_.contains(v) || !most_alive_.includes(v)) continue;
      twice_.insert(v);
      Graph next = Rebuilder(graph_, twice_, loss_).rebuild();
      MostAlive alive(next);
      if (alive.peak < most_alive_.peak) {
        best_ = std::move(next), most_alive_ = std::move(alive);
        return true;
      }
      twice_.erase(v);
    }
    return false;
  }

  const Graph& graph_;
  const size_t loss_;
  std::vector<ValueId> candidates_;
  std::set<ValueId> twice_;
  Graph best_;
  MostAlive most_alive_;  // of the best
  bool exhausted_ = false;
};

// Of its node, the number of nodes where there is none.
size_t loss_of(const Graph& graph) {
  const auto loss = std::find_if(graph.nodes.begin(), graph.nodes.end(), [](const Node& node) {
    return op_info(node.op).kind == OpKind::loss;
  });
  return static_cast<size_t>(loss - graph.nodes.begin());
}

// A graph, and the bytes of its arena.
struct Smaller {
  const Graph* graph;
  int64_t bytes;
};

// What packing wastes shows afterwards.
Smaller search_within(Rematerialization& search, int64_t budget_bytes) {
  constexpr double kLeast = 0.85;
  for (const double share : {1.0, 0.97, 0.92, kLeast}) {
    const Graph& smaller =
        search.run(static_cast<int64_t>(share * static_cast<double>(budget_bytes)));
    const int64_t bytes = plan_memory(smaller, PackEffort::quick).arena_bytes;
    if (bytes <= budget_bytes || share == kLeast || search.exhausted()) return {&smaller, bytes};
  }
  return {};
}

}  // namespace

bool remake_masks(Graph& graph) {
  graph.index();
  const size_t loss = loss_of(graph);
  if (loss == graph.nodes.size()) return false;
  Rematerialization search(graph, loss, Again::masks);
  const Graph& smaller = search.run(0);
  if (smaller.nodes.size() == graph.nodes.size()) return false;
  graph = Graph(smaller);
  return true;
}

bool rematerialize(Graph& graph, int64_t budget_bytes) {
  graph.index();
  const size_t loss = loss_of(graph);
  if (loss == graph.nodes.size()) return false;
  if (fits(graph, budget_bytes)) return false;
  const int64_t before = plan_memory(graph, PackEffort::quick).arena_bytes;
  // Masks alone cost the least. Where they do not suffice, they come last: what they are made from
  // stays for them.
  for (const Again what : {Again::masks, Again::all}) {
    Rematerialization search(graph, loss, what);
    const auto [smaller, bytes] = search_within(search, budget_bytes);
    if (bytes > budget_bytes && what == Again::masks) continue;
    if (bytes >= before) return false;
    graph = Graph(*smaller);
    return true;
  }
  return false;
}

}  // namespace attune
