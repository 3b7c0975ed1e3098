#include "graph/training/optimizer.h"

#include <numeric>
#include <optional>

#include "attune/port.h"
#include "graph/ir/attrs.h"
#include "graph/ir/error.h"
#include "graph/training/random_step.h"

namespace attune {

namespace {

struct OptimizerRow {
  OptimizerKind kind;
  const char* name;
  Op op, of_rows;
  std::vector<std::string> slots;  // in the order of the operators' operands
};
const OptimizerRow kOptimizers[] = {
    {OptimizerKind::sgd, "sgd", Op::sgd, Op::take_sgd, {}},
    {OptimizerKind::momentum, "momentum", Op::momentum, Op::take_momentum, {"velocity"}},
    {OptimizerKind::adam, "adam", Op::adam, Op::take_adam, {"m", "v"}},
    {OptimizerKind::adamw, "adamw", Op::adam, Op::take_adam, {"m", "v"}},
};
const OptimizerRow& row_of(OptimizerKind kind) { return kOptimizers[static_cast<int>(kind)]; }

// The settings that an operator knows, whatever its struct.
AnyAttrs attrs_of(const Optimizer& optimizer, Op op, int32_t axis) {
  AnyAttrs attrs = default_attrs(op);
  std::visit(
      [&](auto& a) {
        if constexpr (requires { a.weight_decay; })
          a.weight_decay = optimizer.weight_decay, a.axis = axis;
        if constexpr (requires { a.nesterov; })
          a.momentum = optimizer.momentum, a.nesterov = optimizer.nesterov;
        if constexpr (requires { a.beta1; }) {
          a.beta1 = optimizer.beta1, a.beta2 = optimizer.beta2, a.epsilon = optimizer.epsilon;
          a.decoupled = optimizer.kind == OptimizerKind::adamw;
        }
      },
      attrs);
  return attrs;
}

// The rows of a table that ids name, and the gradient of each.
struct RowGradient {
  ValueId dy = kNone, ids = kNone;
};

// The look-ups that a table's gradient is the sum of.
struct Lookups {
  std::vector<RowGradient> terms;
  bool of_micro_batches = false;  // it is there as a whole, the sum over these

  // False where the gradient has other terms.
  bool find(const Graph& graph, ValueId gradient) {
    for (const auto& [start, next] : graph.repeat.carried)
      if (start == gradient) return of_micro_batches = true;
    const NodeId id = graph.value(gradient).producer;
    if (id == kNone) return false;
    const Node& node = graph.nodes[id];
    if (node.op == Op::add) return find(graph, node.inputs[0]) && find(graph, node.inputs[1]);
    if (node.op != Op::take_grad) return false;
    terms.push_back({node.inputs[0], node.inputs[1]});
    return true;
  }
};

// What an update of rows reads, so that no gradient need be as large as the table.
std::optional<RowGradient> rows_of(Graph& graph, const Update& update) {
  Lookups lookups;
  if (update.axis >= 0 || !lookups.find(graph, update.gradient)) return std::nullopt;
  const std::vector<RowGradient>& found = lookups.terms;
  const std::string name = graph.value(update.parameter).name + "/lookups";
  if (lookups.of_micro_batches) {
    std::vector<int64_t> all(static_cast<size_t>(graph.shape(update.gradient)[0]));
    std::iota(all.begin(), all.end(), int64_t{0});
    return RowGradient{update.gradient, graph.add_index_constant(name + "/rows", std::move(all))};
  }
  if (found.size() == 1) return found[0];
  std::vector<ValueId> dy, ids;
  for (const RowGradient& one : found) {
    const Shape shape = graph.shape(one.dy),
                places{static_cast<int32_t>(graph.shape(one.ids).elements())};
    dy.push_back(graph.reshape(one.dy, Shape{places[0], shape.last()}, name + "/dy"));
    ids.push_back(graph.reshape(one.ids, places, name + "/ids"));
  }
  return RowGradient{graph.emit(Op::concat, AxisAttrs{0}, dy, name + "/dy"),
                     graph.emit(Op::concat, AxisAttrs{0}, ids, name + "/ids")};
}

}  // namespace

OptimizerKind parse_optimizer(const std::string& name) {
  for (const OptimizerRow& row : kOptimizers)
    if (name == row.name) return row.kind;
  throw_error("optimizer '{}' is unknown; use sgd, momentum, adam or adamw", name);
}

std::string Optimizer::text() const {
  std::string text = row_of(kind).name;
  if (kind == OptimizerKind::momentum)
    text += fmt::format(" {}{}", momentum, nesterov ? " nesterov" : "");
  if (row_of(kind).op == Op::adam)
    text += fmt::format(" betas {} {}, epsilon {}", beta1, beta2, epsilon);
  if (weight_decay != 0) text += fmt::format(", weight decay {}", weight_decay);
  return text;
}

std::vector<std::string> Optimizer::slot_names() const { return row_of(kind).slots; }

void append_optimizer(Graph& graph, const Optimizer& optimizer, std::vector<Update>& updates) {
  const OptimizerRow& row = row_of(optimizer.kind);
  const ValueId rate = graph.add_input(port_name(PortRole::rate), graph.real, Shape{1});
  // Behind the slots, an operator may take the number of the step.
  const bool counts = op_info(row.op).max_inputs > 4 + static_cast<int>(row.slots.size());
  const ValueId step = counts ? step_input(graph) : kNone;

  graph.index();
  for (Update& update : updates) {
    const std::string name = graph.value(update.parameter).name;
    const std::optional<RowGradient> rows = rows_of(graph, update);
    const Op op = rows ? row.of_rows : row.op;
    // Of a narrow parameter the slice is all that there is.
    const bool all =
        update.axis < 0 || graph.shape(update.parameter) == graph.shape(update.gradient);
    const int32_t axis = all ? 0 : update.axis;
    const ValueId gradient = rows ? rows->dy : update.gradient;
    const ValueId indices = rows  ? rows->ids
                            : all ? kNone
                                  : graph.add_index_constant(name + ".channels", update.channels);
    for (const std::string& slot : row.slots)
      update.slots.push_back(graph.add_value({.name = fmt::format("{}.{}", name, slot),
                                              .dtype = graph.real,
                                              .shape = graph.shape(update.gradient),
                                              .role = Role::state}));
    std::vector<ValueId> inputs = {update.parameter, gradient, rate, indices};
    inputs.insert(inputs.end(), update.slots.begin(), update.slots.end());
    if (counts) inputs.push_back(step);
    graph.nodes.push_back(graph.make(op, attrs_of(optimizer, op, axis), std::move(inputs),
                                     name + "/update", nullptr,
                                     1 + static_cast<int>(row.slots.size())));
  }
}

}  // namespace attune
