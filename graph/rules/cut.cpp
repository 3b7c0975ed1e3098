#include "graph/rules/cut.h"

#include <algorithm>
#include <optional>

#include "kernels/binding.h"
#include "kernels/custom.h"

namespace attune {
namespace {

// What an axis of an operand is called: a name of the row (of a product the inner one), or a free
// axis counted from the last of its block.
struct Key {
  enum Kind : uint8_t { name, first_rest, second_rest } kind = name;
  int index = 0;
  bool window = false;
  bool fixed = false;  // never cut
  int outer = 1;       // of a product: the size of its outer name
};
bool alike(const Key& a, const Key& b) { return a.kind == b.kind && a.index == b.index; }

class Query {
 public:
  explicit Query(const Operation& operation)
      : of_(operation),
        row_(signature(operation.op)),
        facts_(axis_facts(operation.op, operation.attrs)) {
    for (int i = 0; i < row_.inputs; ++i) {
      const SignatureOperand& written = row_.input(i);
      if (written.operand_type() != OperandType::places) continue;
      if (i < inputs() && shape(i) != nullptr)
        indexed_ = written.places;
      else
        alias_ = written.axes[0].name, aliased_ = written.places;
    }
  }

  Cut answer(int operand, int axis) const {
    const Cut refused;
    const Shape* start = shape(operand);
    if (start == nullptr || axis < 0 || axis >= start->rank || (*start)[axis] == 1) return refused;
    if (written(operand).any_shape) return own_cut(operand, axis);
    const std::optional<Key> key = key_of(operand, axis);
    if (!key || key->fixed || is_mixed(*key)) return refused;

    Cut cut;
    for (int k = 0; k < operands(); ++k) {
      cut.axis.push_back(-1);
      if (shape(k) == nullptr) continue;
      for (int a = 0; a < shape(k)->rank; ++a) {
        std::optional<Key> at = key_of(k, a);
        if (!at || !alike(*at, *key)) continue;
        if (at->window != key->window) {
          // Of the image's rows, windows are no simple part; of windows, only what is read is
          // known.
          if (at->window || k >= inputs()) return refused;
          cut.window = true;
        } else if ((*shape(k))[a] != (*start)[axis]) {
          continue;  // Broadcast: whole.
        }
        if (cut.axis.back() >= 0) return refused;
        cut.axis.back() = static_cast<int8_t>(a);
      }
    }
    return finish(cut) ? cut : refused;
  }

  int alike_in(int operand, int axis, int other) const {
    const std::optional<Key> key = key_of(operand, axis);
    for (int a = 0; key && a < shape(other)->rank; ++a)
      if (const auto at = key_of(other, a); at && alike(*at, *key) && at->window == key->window)
        return a;
    return -1;
  }

  int64_t multiply_adds() const {
    const OpKind kind = op_info(of_.op).kind;
    if (kind != OpKind::forward && kind != OpKind::backward) return 0;
    int64_t sizes[kMaxNames] = {}, free_axes = 1, outer = 1;
    bool windowed[kMaxNames] = {}, written_to[kMaxNames] = {};
    for (int k = 0; k < operands(); ++k) {
      if (shape(k) == nullptr || written(k).any_shape) continue;
      for (int a = 0; a < shape(k)->rank; ++a) {
        const std::optional<Key> key = key_of(k, a);
        if (!key) continue;
        if (key->kind != Key::name) {
          if (k == inputs()) free_axes *= (*shape(k))[a];
          continue;
        }
        const int64_t size = (*shape(k))[a] / key->outer;
        outer = std::max<int64_t>(outer, key->outer);
        // Of an image and its windows, the windows count.
        if (sizes[key->index] == 0 || key->window) sizes[key->index] = size;
        windowed[key->index] |= key->window;
        written_to[key->index] |= k >= inputs();
      }
    }
    bool sums = false;
    int64_t product = free_axes * outer;
    for (int name = 0; name < kMaxNames; ++name) {
      if (sizes[name] == 0) continue;
      product *= sizes[name];
      const Key key{Key::name, name};
      sums |= !written_to[name] && !windowed[name] && name != indexed_ && !is_mixed(key);
    }
    return sums ? product : 0;
  }

 private:
  int inputs() const { return static_cast<int>(of_.inputs.size()); }
  int operands() const { return inputs() + static_cast<int>(of_.outputs.size()); }
  const SignatureOperand& written(int k) const {
    return k < inputs() ? row_.input(k) : row_.output(k - inputs());
  }
  const Shape* shape(int k) const {
    return k < inputs() ? of_.inputs[static_cast<size_t>(k)]
                        : of_.outputs[static_cast<size_t>(k - inputs())];
  }

  // Nothing for axes of size 1 by definition.
  std::optional<Key> key_of(int k, int axis) const {
    const OperandAxes axes = operand_axes(written(k), k, shape(k)->rank, facts_);
    if (axes.rank < 0) return std::nullopt;
    const auto& [term, block, from_last] = axes.axes[axis];
    if (!term.is_rest()) return name_key(term);
    if (term.kind == SignatureAxis::ones) return std::nullopt;
    return Key{block == 0 ? Key::first_rest : Key::second_rest, from_last};
  }

  std::optional<Key> name_key(const SignatureAxis& term) const {
    if (term.kind != SignatureAxis::named) return std::nullopt;
    int name = term.factor == kNoName ? term.name : term.factor;
    const bool kernel = row_.names[name][0] == 'K' && row_.names[name][1] != '\0';
    const bool step = facts_.gates != 0 && row_.names[name][0] != 'N';  // Examples alone are apart.
    const bool fixed =
        kernel || step || name == indexed_ || (facts_.groups != 1 && is_factor(name));
    if (name == alias_) name = aliased_;
    return Key{Key::name, name, term.window != 0, fixed,
               term.factor == kNoName ? 1 : facts_.groups};
  }

  bool is_factor(int name) const {
    for (int k = 0; k < row_.inputs + row_.outputs; ++k)
      for (int t = 0; t < row_.operands[k].count; ++t)
        if (row_.operands[k].axes[t].factor == name) return true;
    return false;
  }

  // Whether an operand that is there bears a mark along this axis.
  bool is_mixed(const Key& key) const {
    for (int k = 0; k < operands(); ++k) {
      if (shape(k) == nullptr) continue;
      const SignatureOperand& operand = written(k);
      for (int t = 0; t < operand.count; ++t) {
        const SignatureAxis& term = operand.axes[t];
        if (!term.mixed) continue;
        if (term.is_rest() ? key.kind != Key::name
                           : alike(*name_key(term), key) && term.window == key.window)
          return true;
      }
    }
    return false;
  }

  // Sets what becomes of operands that are not restricted. False where that cannot be.
  bool finish(Cut& cut) const {
    for (int o = 0; o < static_cast<int>(of_.outputs.size()); ++o) {
      const size_t k = static_cast<size_t>(inputs() + o);
      if (shape(inputs() + o) == nullptr || cut.axis[k] >= 0) continue;
      const SignatureOperand& output = row_.output(o);
      if (output.same_as >= 0) {
        cut.chained |= 1u << o;
      } else if (facts_.clamps || output.operand_type() == OperandType::mask) {
        return false;
      } else {
        cut.summed |= 1u << o;
      }
    }
    for (int i = 0; i < inputs(); ++i) {
      if (shape(i) == nullptr || cut.axis[static_cast<size_t>(i)] >= 0) continue;
      if (row_.input(i).term && cut.summed != 0) cut.terms |= 1u << i;
      // A mean that repeats divides by the number of repeats.
      if (facts_.mean) return false;
    }
    cut.possible = true;
    return true;
  }

  // ---- Rows of any shape ----------------------------------------------------------------------

  // By example, where a user's operator says so.
  Cut custom_cut(int operand, int axis) const {
    Cut cut;
    const CustomOperator* op = find_custom_operator(*facts_.custom);
    const auto has_examples = [&](int k) {
      return k < inputs() ? k < 32 && (op->by_example >> k & 1) != 0 : !op->sums_examples;
    };
    if (op == nullptr || op->by_example == 0 || axis != 0 || !has_examples(operand)) return cut;
    for (int k = 0; k < operands(); ++k) cut.axis.push_back(has_examples(k) ? 0 : -1);
    cut.summed = op->sums_examples;
    cut.possible = true;
    return cut;
  }

  Cut own_cut(int operand, int axis) const {
    if (facts_.custom != nullptr) return custom_cut(operand, axis);
    const Shape &x = *shape(0), &y = *shape(1);
    Cut cut;
    cut.axis = {-1, -1};
    cut.axis[static_cast<size_t>(operand)] = static_cast<int8_t>(axis);
    int8_t& other = cut.axis[static_cast<size_t>(1 - operand)];
    switch (of_.op) {
      case Op::reduce:  // A reduced axis of x is summed up.
        if (x[axis] == y[axis])
          other = static_cast<int8_t>(axis);
        else
          cut.summed = 1;
        cut.possible = other >= 0 || !facts_.mean;
        return cut;
      case Op::transpose: {  // Axis i of y is axis perm[i] of x.
        for (int i = 0; i < y.rank; ++i)
          if ((operand == 0 ? facts_.perm[i] : i) == axis)
            other = static_cast<int8_t>(operand == 0 ? i : facts_.perm[i]);
        break;
      }
      default: {  // reshape: the same size, and as many elements before it.
        const Shape &from = operand == 0 ? x : y, &to = operand == 0 ? y : x;
        for (int i = 0; i < to.rank; ++i)
          if (to[i] == from[axis] && to.product(0, i) == from.product(0, axis))
            other = static_cast<int8_t>(i);
      }
    }
    cut.possible = other >= 0;
    return cut;
  }

  const Operation& of_;
  const Signature& row_;
  const AxisFacts facts_;
  int indexed_ = -1;              // the name whose places are chosen by an operand
  int alias_ = -1, aliased_ = 0;  // the name that is another one, as all places are chosen
};

}  // namespace

Operation operation_of(const Graph& graph, const Node& node) {
  Operation of{node.op, attrs_data(node.attrs), {}, {}};
  for (ValueId v : node.inputs) of.inputs.push_back(v == kNone ? nullptr : &graph.shape(v));
  for (ValueId v : node.outputs) of.outputs.push_back(v == kNone ? nullptr : &graph.shape(v));
  return of;
}

Cut cut(const Operation& operation, int operand, int axis) {
  return Query(operation).answer(operand, axis);
}

Cut cut(const Graph& graph, const Node& node, int operand, int axis) {
  return cut(operation_of(graph, node), operand, axis);
}

int axis_alike(const Graph& graph, const Node& node, int operand, int axis, int other) {
  const Operation of = operation_of(graph, node);
  return Query(of).alike_in(operand, axis, other);
}

int64_t op_macs(const Graph& graph, const Node& node) {
  const Operation of = operation_of(graph, node);
  return Query(of).multiply_adds();
}

WeightAxes weight_axes(Op op, int operand) {
  const Signature& row = signature(op);
  WeightAxes axes;
  if (op_info(op).kind != OpKind::forward || operand < 1 || operand >= row.inputs) return axes;
  // Whether a name, or the inner one of a product, is one of an operand's.
  const auto has = [](const SignatureOperand& in, int name) {
    for (int t = 0; t < in.count; ++t)
      if (in.axes[t].kind == SignatureAxis::named && !in.axes[t].window &&
          (in.axes[t].factor == kNoName ? in.axes[t].name : in.axes[t].factor) == name)
        return true;
    return false;
  };
  const SignatureOperand& w = row.input(operand);
  if (w.term || w.operand_type() != OperandType::real) return axes;
  bool some_missing = false;
  for (int t = 0; t < w.count; ++t) {
    const SignatureAxis& term = w.axes[t];
    if (term.kind != SignatureAxis::named || w.swapped) return {};
    const int name = term.factor == kNoName ? term.name : term.factor;
    const bool in_x = has(row.input(0), name), in_y = has(row.output(0), name);
    // The state that a recurrent layer's weights multiply is none of its inputs.
    const bool summed = !in_x && !in_y && row.names[name][0] == 'K' && row.names[name][1] == '\0';
    if (in_x || summed) axes.input = t;
    if (in_y) axes.output = t;
    some_missing |= !in_y;
  }
  return some_missing ? axes : WeightAxes{};
}

int bias_input(Op op) {
  const Signature& row = signature(op);
  for (int i = 0; i < row.inputs; ++i)
    if (row.input(i).term) return i;
  return -1;
}

}  // namespace attune
