#include <unordered_map>

#include "graph/ir/interpret.h"
#include "graph/passes/passes.h"

namespace attune {
namespace {

// What folding may add to a plan, and how much it may hold at once: broadcasting a constant or
// repeating it in every node of a long chain is better done on the device.
constexpr int64_t kMaxElements = int64_t{1} << 24;

// Collects foldable nodes in a graph of their own, in double.
class Folder {
 public:
  Folder(Graph& graph, bool frozen) : graph_(graph), frozen_(frozen) { folded_.real = DType::f64; }

  void run() {
    std::vector<Node> rest;
    for (Node& node : graph_.nodes) {
      if (is_foldable(node))
        add(node);
      else
        rest.push_back(std::move(node));
    }
    if (!folded_.nodes.empty()) replace();
    graph_.nodes = std::move(rest);
    graph_.index();
  }

 private:
  bool is_known(ValueId id) const {
    const Value& value = graph_.value(id);
    return copies_.contains(id) || value.role == Role::constant ||
           (frozen_ && value.role == Role::parameter && !value.trained);
  }

  bool is_foldable(const Node& node) {
    const OpKind kind = op_info(node.op).kind;
    if (kind == OpKind::update || node.inputs.empty()) return false;
    for (ValueId id : node.inputs)
      if (id != kNone && !is_known(id)) return false;
    int64_t elements = elements_;
    for (ValueId id : node.outputs) {
      if (id == kNone) continue;
      if (graph_.value(id).dtype == DType::mask) return false;
      elements += graph_.shape(id).elements();
    }
    if (elements > kMaxElements) return false;
    elements_ = elements;
    return true;
  }

  ValueId copy(ValueId id) {
    if (id == kNone) return kNone;
    const auto [at, added] = copies_.emplace(id, kNone);
    if (!added) return at->second;
    Value value = graph_.value(id);
    if (is_real(value.dtype)) value.dtype = DType::f64;
    return at->second = folded_.add_value(std::move(value));
  }

  void add(const Node& node) {
    Node own = node;
    for (ValueId& id : own.inputs) id = copy(id);
    for (ValueId& id : own.outputs) id = copy(id);
    folded_.nodes.push_back(std::move(own));
  }

  void replace() {
    const std::vector<HostTensor> results = interpret(folded_, {});
    for (const auto& [id, own] : copies_) {
      Value& value = graph_.value(id);
      if (value.role != Role::temporary) continue;
      std::vector<double> elements = results[own].reals();
      value.role = Role::constant;
      value.data = is_real(value.dtype) ? Data::of_reals(std::move(elements))
                                        : Data::of_ints({elements.begin(), elements.end()});
    }
  }

  Graph& graph_;
  const bool frozen_;
  Graph folded_;
  std::unordered_map<ValueId, ValueId> copies_;
  int64_t elements_ = 0;
};

}  // namespace

void fold_constants(Graph& graph, bool frozen) { Folder(graph, frozen).run(); }

}  // namespace attune
