// Works forwards through the schedule. A transpose emits nothing: its result is noted as a base
// value and a permutation. Operators that do not mind the order of axes then run on the base, and
// their result is noted as permuted in turn; only an operator that does mind, or an output of the
// graph, has a noted permutation emitted. What remains are the transposes where a layout really
// changes.
#include <algorithm>
#include <map>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "graph/passes/passes.h"
#include "kernels/signature.h"

namespace attune {
namespace {

// Axis i of a value is axis perm[i] of its base (as in TransposeAttrs).
using Perm = std::vector<int>;

Perm identity(int rank) {
  Perm perm(rank);
  std::iota(perm.begin(), perm.end(), 0);
  return perm;
}

bool is_identity(const Perm& perm) { return perm == identity(static_cast<int>(perm.size())); }

Perm inverse(const Perm& perm) {
  Perm result(perm.size());
  for (size_t i = 0; i < perm.size(); ++i) result[perm[i]] = static_cast<int>(i);
  return result;
}

// transpose(transpose(x, first), second) = transpose(x, compose(first, second))
Perm compose(const Perm& first, const Perm& second) {
  Perm result(second.size());
  for (size_t i = 0; i < second.size(); ++i) result[i] = first[second[i]];
  return result;
}

Shape permuted(const Shape& shape, const Perm& perm) {
  Shape result = shape;
  for (int i = 0; i < shape.rank; ++i) result[i] = shape[perm[i]];
  return result;
}

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

std::vector<int64_t> sizes(const Shape& shape) { return {shape.dims, shape.dims + shape.rank}; }

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
    return at != layouts_.end() ? at->second : Layout{id, identity(shape(id).rank)};
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

  void push(Op op, AnyAttrs attrs, ValueId x, ValueId y, const std::string& name) {
    Node node;
    node.op = op;
    node.attrs = std::move(attrs);
    node.inputs = {x};
    node.outputs = {y};
    node.name = name;
    nodes_.push_back(std::move(node));
  }

  // transpose(base, perm) as a value of its own: `reuse` where that value has no node yet.
  ValueId materialize(ValueId base, const Perm& perm, ValueId reuse = kNone) {
    if (is_identity(perm)) return base;
    const auto [at, added] = materialized_.emplace(std::pair(base, perm), kNone);
    if (!added) return at->second;
    const Value from = graph_.value(base);
    ValueId id = reuse;
    if (from.role == Role::constant || id == kNone) {
      Value value;
      value.name = from.name + "/transposed";
      value.dtype = from.dtype;
      value.shape = permuted(from.shape, perm);
      if (from.role == Role::constant) {
        value.role = Role::constant;
        value.data = from.data->permuted(sizes(from.shape), perm);
      }
      id = graph_.add_value(std::move(value));
    }
    at->second = id;
    if (from.role == Role::constant) return id;
    if (keeps_order(from.shape, perm)) {
      push(Op::reshape, NoAttrs{}, base, id, graph_.value(id).name);
      reshaped_from_[id] = base;
    } else {
      TransposeAttrs attrs;
      std::copy(perm.begin(), perm.end(), attrs.perm);
      push(Op::transpose, attrs, base, id, graph_.value(id).name);
    }
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
    Value value;
    value.dtype = graph_.value(x).dtype;
    value.name = graph_.value(x).name + "/broadcast";
    value.shape = with_leading_ones(shape(x), rank);
    const bool constant = graph_.value(x).role == Role::constant;
    if (constant) {
      value.role = Role::constant;
      value.data = graph_.value(x).data;
    }
    at->second = graph_.add_value(std::move(value));
    if (!constant) {
      push(Op::reshape, NoAttrs{}, x, at->second, graph_.value(at->second).name);
      reshaped_from_[at->second] = x;
    }
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
    value.data = value.data->permuted(sizes(shape), perm);
    value.shape = permuted(shape, perm);
  }

  // The layout in which an operator of several inputs runs: that of its largest computed input, a
  // real transpose going before a free one, and that before none.
  Perm common_layout(const std::vector<ValueId>& inputs, int rank) const {
    Perm best = identity(rank);
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
    if (op_info(node.op).kind == OpKind::forward && node.outputs.size() == 1) {
      if (node.op == Op::transpose) return visit_transpose(node);
      if (node.op == Op::reshape) return visit_reshape(std::move(node));
      if (node.op == Op::reduce) return visit_reduce(std::move(node));
      if (node.op == Op::matmul) return visit_matmul(std::move(node));
      const Signature& row = signature(node.op);
      const SignatureOperand& x = row.input(0);
      // Which axes the operator tells apart: none, the last one, or one that an attribute names.
      const bool elements = x.count == 1 && x.axes[0].is_rest();
      const bool last = x.count == 2 && x.axes[0].is_rest();
      const bool named = x.count == 3 && x.axes[0].is_rest() && x.axes[2].is_rest();
      if ((elements && row.inputs == 2) || x.many) return visit_several(std::move(node));
      if (elements && x.axes[0].kind == SignatureAxis::rest)
        return visit_first_input(std::move(node), false);
      if (last && !x.swapped) return visit_first_input(std::move(node), true);
      if (named && row.inputs == 1) return visit_slice(std::move(node));
    }
    for (ValueId& id : node.inputs) id = as_model_has_it(id);
    nodes_.push_back(std::move(node));
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
    if (shape(from) == shape(y)) return set_alias(y, from, identity(shape(y).rank));
    reshaped_from_[y] = from;
    node.inputs[0] = from;
    nodes_.push_back(std::move(node));
  }

  // Operators on elements, or on the last axis.
  void visit_first_input(Node node, bool last_axis) {
    Layout x = layout(node.inputs[0]);
    const bool moves_last = !x.perm.empty() && x.perm.back() + 1 != static_cast<int>(x.perm.size());
    if (last_axis && moves_last) {
      x.base = as_model_has_it(node.inputs[0]);
      x.perm = identity(shape(x.base).rank);
    }
    node.inputs[0] = x.base;
    set_permuted(node.outputs[0], x.perm);
    nodes_.push_back(std::move(node));
  }

  void visit_several(Node node) {
    const Perm perm = common_layout(node.inputs, shape(node.outputs[0]).rank);
    // An input that comes twice is one use of each.
    for (ValueId& id : node.inputs) id = in_layout(id, perm);
    if (node.op == Op::concat) {
      AxisAttrs& attrs = std::get<AxisAttrs>(node.attrs);
      attrs.axis = perm[attrs.axis];
    }
    set_permuted(node.outputs[0], perm);
    nodes_.push_back(std::move(node));
  }

  void visit_reduce(Node node) {
    const Layout x = layout(node.inputs[0]);
    ReduceAttrs& attrs = std::get<ReduceAttrs>(node.attrs);
    const int32_t axes = std::exchange(attrs.axes, 0);
    for (size_t i = 0; i < x.perm.size(); ++i)
      if ((axes >> i & 1) != 0) attrs.axes |= 1 << x.perm[i];
    node.inputs[0] = x.base;
    set_permuted(node.outputs[0], x.perm);
    nodes_.push_back(std::move(node));
  }

  void visit_slice(Node node) {
    const Layout x = layout(node.inputs[0]);
    SliceAttrs& attrs = std::get<SliceAttrs>(node.attrs);
    attrs.axis = x.perm[attrs.axis];
    node.inputs[0] = x.base;
    set_permuted(node.outputs[0], x.perm);
    nodes_.push_back(std::move(node));
  }

  // Exchanging the last two axes is an attribute.
  void visit_matmul(Node node) {
    MatmulAttrs& attrs = std::get<MatmulAttrs>(node.attrs);
    for (int i = 0; i < 2; ++i) {
      const Layout x = layout(node.inputs[i]);
      Perm exchanged = identity(static_cast<int>(x.perm.size()));
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
