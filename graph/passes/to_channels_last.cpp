// Works forwards through the schedule. A transpose emits nothing: its result is noted as a base
// value and a permutation. Operators that do not mind the order of axes then run on the base, and
// their result is noted as permuted in turn; only an operator that does mind, or an output of the
// graph, has a noted permutation emitted. What remains are the transposes where a layout really
// changes.
#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include "graph/passes/passes.h"
#include "kernels/signature.h"

namespace attune {
namespace {

// Whether a transpose moves axes of size 1 only, so that the elements stay in order.
bool keeps_order(const Shape& shape, const Perm& perm) {
  int last = -1;
  for (int axis : perm) {
    if (shape[axis] == 1) continue;
    if (axis < last) return false;
    last = axis;
  }
  return true;
}

// [C,H,W] as [1,C,H,W].
Shape with_leading_ones(const Shape& shape, int rank) {
  Shape result;
  result.rank = rank;
  for (int i = 0; i < rank; ++i) {
    const int axis = i - (rank - shape.rank);
    result[i] = axis < 0 ? 1 : shape[axis];
  }
  return result;
}

// Axes that attributes name, in the layout of a base.
void rename_axes(AnyAttrs& attrs, const Perm& perm) {
  std::visit(
      [&](auto& a) {
        if constexpr (requires { a.axis; }) a.axis = perm[a.axis];
        if constexpr (requires { a.axes; }) {
          const int32_t axes = std::exchange(a.axes, 0);
          for (size_t i = 0; i < perm.size(); ++i)
            if ((axes >> i & 1) != 0) a.axes |= 1 << perm[i];
        }
      },
      attrs);
}

class ChannelsLast {
 public:
  explicit ChannelsLast(Graph& graph) : graph_(graph), reads_(graph.values.size(), 0) {
    for (const auto& node : graph.nodes)
      for (ValueId id : node.inputs)
        if (id != kNone) ++reads_[id];
    for (const Port& port : graph.outputs) reads_[port.value] += 2;
  }

  void run() {
    std::vector<Node> nodes = std::move(graph_.nodes);
    for (Node& node : nodes) visit(std::move(node));
    for (Port& port : graph_.outputs) port.value = as_model_has_it(port.value);
    graph_.nodes = std::move(nodes_);
    remove_dead(graph_);
    for (Value& value : graph_.values)
      if (value.role == Role::temporary && value.producer == kNone) value.model_tensor.clear();
  }

 private:
  struct Layout {
    ValueId base;
    Perm perm;
  };

  const Shape& shape(ValueId id) const { return graph_.shape(id); }

  Layout layout(ValueId id) const {
    const auto at = layouts_.find(id);
    return at != layouts_.end() ? at->second : Layout{id, identity_perm(shape(id).rank)};
  }

  // The model's tensor that `id` is, is base with its axes permuted.
  void note_alias(ValueId id, ValueId base, const Perm& perm) {
    const Value& value = graph_.value(id);
    Value& target = graph_.value(base);
    if (value.model_tensor.empty() || !target.model_tensor.empty()) return;
    if (target.role != Role::temporary) return;
    target.model_tensor = value.model_tensor;
    for (size_t i = 0; i < perm.size(); ++i) target.model_perm[perm[i]] = value.model_perm[i];
  }

  void set_alias(ValueId id, ValueId base, const Perm& perm) {
    note_alias(id, base, perm);
    layouts_[id] = {base, perm};
  }

  // Output `id` is computed with its axes permuted: what it was is transpose(id, perm) from now on.
  void set_permuted(ValueId id, const Perm& perm) {
    if (is_identity(perm)) return;
    Value& value = graph_.value(id);
    value.shape = permuted(value.shape, inverse(perm));
    const auto model_perm = value.model_perm;
    for (size_t i = 0; i < perm.size(); ++i) value.model_perm[perm[i]] = model_perm[i];
    layouts_[id] = {id, perm};
  }

  void push(Op op, AnyAttrs attrs, ValueId x, ValueId y) {
    nodes_.push_back({op, std::move(attrs), {x}, {y}, graph_.value(y).name});
  }

  void push_reshape(ValueId x, ValueId y) {
    push(Op::reshape, NoAttrs{}, x, y);
    reshaped_from_[y] = x;
  }

  // What a node is to make of a value; of a constant, a constant of these contents.
  ValueId add_made_of(const Value& from, const char* suffix, const Shape& shape, DataPtr data) {
    const bool constant = from.role == Role::constant;
    return graph_.add_value({.name = from.name + suffix,
                             .dtype = from.dtype,
                             .shape = shape,
                             .role = constant ? Role::constant : Role::temporary,
                             .data = constant ? std::move(data) : nullptr});
  }

  // transpose(base, perm) as a value of its own: `reuse` where that value has no node yet.
  ValueId materialize(ValueId base, const Perm& perm, ValueId reuse = kNone) {
    if (is_identity(perm)) return base;
    const auto [at, added] = materialized_.emplace(std::pair(base, perm), reuse);
    if (!added) return at->second;
    const Value from = graph_.value(base);
    const bool constant = from.role == Role::constant;
    ValueId& id = at->second;
    if (constant || id == kNone)
      id = add_made_of(from, "/transposed", permuted(from.shape, perm),
                       constant ? from.data->permuted(to_dims(from.shape), perm) : nullptr);
    if (constant) return id;
    if (keeps_order(from.shape, perm))
      push_reshape(base, id);
    else
      push(Op::transpose, transpose_attrs(perm), base, id);
    return id;
  }

  ValueId as_model_has_it(ValueId id) {
    if (id == kNone) return kNone;
    const Layout at = layout(id);
    return materialize(at.base, at.perm, at.base == id ? kNone : id);
  }

  // The value of which `id` (of lower rank perhaps) is transpose(value, perm).
  ValueId in_layout(ValueId id, const Perm& perm) {
    if (is_identity(perm)) return as_model_has_it(id);
    const int rank = static_cast<int>(perm.size());
    if (graph_.value(id).role == Role::parameter && reads_[id] == 1) {
      relayout_parameter(id, inverse(perm));
      return id;
    }
    if (shape(id).rank < rank) id = pad_rank(id, rank);
    const Layout at = layout(id);
    return materialize(at.base, compose(at.perm, inverse(perm)));
  }

  ValueId pad_rank(ValueId id, int rank) {
    const auto [at, added] = padded_.emplace(std::pair(id, rank), kNone);
    if (!added) return at->second;
    const ValueId x = as_model_has_it(id);
    const Value from = graph_.value(x);
    at->second = add_made_of(from, "/broadcast", with_leading_ones(from.shape, rank), from.data);
    if (from.role != Role::constant) push_reshape(x, at->second);
    return at->second;
  }

  // A parameter that one node reads takes the layout that this node wants.
  void relayout_parameter(ValueId id, const Perm& perm) {
    Value& value = graph_.value(id);
    const int rank = static_cast<int>(perm.size()), added = rank - value.shape.rank;
    Origin& origin = value.origin;
    // Axes of size 1 in front, in the view as in the value.
    std::array<int32_t, kMaxRank> padded = origin.perm;
    for (int i = 0; i < rank; ++i) padded[i] = i < added ? i : origin.perm[i - added] + added;
    origin.view_shape = with_leading_ones(origin.view_shape, origin.view_shape.rank + added);
    const Shape shape = with_leading_ones(value.shape, rank);
    for (int i = 0; i < rank; ++i) origin.perm[i] = padded[perm[i]];
    value.data = value.data->permuted(to_dims(shape), perm);
    value.shape = permuted(shape, perm);
  }

  // The layout in which an operator of several inputs runs: that of its largest computed input, a
  // real transpose going before a free one, and that before none.
  Perm common_layout(const std::vector<ValueId>& inputs, int rank) const {
    Perm best = identity_perm(rank);
    std::pair<int64_t, int> best_rating = {-1, 0};
    for (ValueId id : inputs) {
      const Role role = graph_.value(id).role;
      const Layout at = layout(id);
      if (role == Role::constant || role == Role::parameter || shape(at.base).rank != rank)
        continue;
      const int moved = is_identity(at.perm) ? 0 : keeps_order(shape(at.base), at.perm) ? 1 : 2;
      const std::pair rating = {shape(at.base).elements(), moved};
      if (rating <= best_rating) continue;
      best_rating = rating;
      best = at.perm;
    }
    return best;
  }

  void visit(Node node) {
    const bool plain = op_info(node.op).kind == OpKind::forward && node.outputs.size() == 1;
    if (plain && node.op == Op::transpose) return visit_transpose(node);
    if (plain && node.op == Op::reshape) return visit_reshape(std::move(node));
    if (plain && node.op == Op::matmul) return visit_matmul(std::move(node));
    const SignatureOperand& x = signature(node.op).input(0);
    if (plain && (x.many || (on_elements(x) && signature(node.op).inputs == 2)))
      return visit_several(std::move(node));
    const bool in_layout = plain && takes_layout(node);
    for (size_t i = in_layout ? 1 : 0; i < node.inputs.size(); ++i)
      node.inputs[i] = as_model_has_it(node.inputs[i]);
    if (in_layout) {
      const Layout at = layout(node.inputs[0]);
      node.inputs[0] = at.base;
      rename_axes(node.attrs, at.perm);
      set_permuted(node.outputs[0], at.perm);
    }
    nodes_.push_back(std::move(node));
  }

  static bool on_elements(const SignatureOperand& x) { return x.count == 1 && x.axes[0].is_rest(); }

  // Whether an operator runs on its input in any layout, or in this one: which axes it tells apart
  // is none, the last one, or those that an attribute names.
  bool takes_layout(const Node& node) const {
    const SignatureOperand& x = signature(node.op).input(0);
    if (node.op == Op::reduce) return true;
    if (on_elements(x)) return x.axes[0].kind == SignatureAxis::rest;
    if (!x.axes[0].is_rest()) return false;
    const Perm perm = layout(node.inputs[0]).perm;
    if (x.count == 2)
      return !x.swapped && (perm.empty() || (perm.back() + 1 == static_cast<int>(perm.size()) &&
                                             (perm.front() == 0 || !is_tracked(node))));
    const Signature& row = signature(node.op);
    return x.count == 3 && x.axes[2].is_rest() &&
           (row.inputs == 1 || row.input(1).operand_type() == OperandType::places);
  }

  // A batch norm that will ask for statistics of examples: these are on the first axis.
  bool is_tracked(const Node& node) const {
    return std::any_of(node.inputs.begin(), node.inputs.end(),
                       [&](ValueId id) { return graph_.value(id).role == Role::statistic; });
  }

  void visit_transpose(const Node& node) {
    const auto& attrs = node.as<TransposeAttrs>();
    const Layout x = layout(node.inputs[0]);
    const Perm own(attrs.perm, attrs.perm + x.perm.size());
    set_alias(node.outputs[0], x.base, compose(x.perm, own));
  }

  // Needs the elements in order only; a reshape of a reshape is one.
  void visit_reshape(Node node) {
    const Layout x = layout(node.inputs[0]);
    ValueId from = keeps_order(shape(x.base), x.perm) ? x.base : as_model_has_it(node.inputs[0]);
    const auto earlier = reshaped_from_.find(from);
    if (earlier != reshaped_from_.end()) from = earlier->second;
    const ValueId y = node.outputs[0];
    if (shape(from) == shape(y)) return set_alias(y, from, identity_perm(shape(y).rank));
    reshaped_from_[y] = from;
    node.inputs[0] = from;
    nodes_.push_back(std::move(node));
  }

  void visit_several(Node node) {
    const Perm perm = common_layout(node.inputs, shape(node.outputs[0]).rank);
    // An input that comes twice is one use of each.
    for (ValueId& id : node.inputs) id = in_layout(id, perm);
    rename_axes(node.attrs, perm);
    set_permuted(node.outputs[0], perm);
    nodes_.push_back(std::move(node));
  }

  // Exchanging the last two axes is an attribute.
  void visit_matmul(Node node) {
    MatmulAttrs& attrs = std::get<MatmulAttrs>(node.attrs);
    for (int i = 0; i < 2; ++i) {
      const Layout x = layout(node.inputs[i]);
      Perm exchanged = identity_perm(static_cast<int>(x.perm.size()));
      std::swap(exchanged[exchanged.size() - 2], exchanged.back());
      if (x.perm != exchanged) {
        node.inputs[i] = as_model_has_it(node.inputs[i]);
        continue;
      }
      bool& transposed = i == 0 ? attrs.transpose_a : attrs.transpose_b;
      transposed = !transposed;
      node.inputs[i] = x.base;
    }
    nodes_.push_back(std::move(node));
  }

  Graph& graph_;
  std::vector<int> reads_;  // by value, in the graph as it was; values added since are not in it
  std::vector<Node> nodes_;
  std::unordered_map<ValueId, Layout> layouts_;
  std::map<std::pair<ValueId, Perm>, ValueId> materialized_;
  std::map<std::pair<ValueId, int>, ValueId> padded_;
  std::unordered_map<ValueId, ValueId> reshaped_from_;
};

}  // namespace

void to_channels_last(Graph& graph) { ChannelsLast(graph).run(); }

}  // namespace attune
