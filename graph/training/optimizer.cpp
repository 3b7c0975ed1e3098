#include "graph/training/optimizer.h"

#include "attune/port.h"
#include "graph/ir/attrs.h"
#include "graph/ir/error.h"
#include "graph/training/random_step.h"

namespace attune {

namespace {

struct OptimizerRow {
  OptimizerKind kind;
  const char* name;
  Op op;
  std::vector<std::string> slots;  // in the order of the operator's operands
};
const OptimizerRow kOptimizers[] = {
    {OptimizerKind::sgd, "sgd", Op::sgd, {}},
    {OptimizerKind::momentum, "momentum", Op::momentum, {"velocity"}},
    {OptimizerKind::adam, "adam", Op::adam, {"m", "v"}},
    {OptimizerKind::adamw, "adamw", Op::adam, {"m", "v"}},
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

  for (Update& update : updates) {
    const std::string name = graph.value(update.parameter).name;
    const int32_t axis = update.axis < 0 ? 0 : update.axis;
    const ValueId indices =
        update.axis < 0 ? kNone : graph.add_index_constant(name + ".channels", update.channels);
    for (const std::string& slot : row.slots)
      update.slots.push_back(graph.add_value({.name = fmt::format("{}.{}", name, slot),
                                              .dtype = graph.real,
                                              .shape = graph.shape(update.gradient),
                                              .role = Role::state}));
    std::vector<ValueId> inputs = {update.parameter, update.gradient, rate, indices};
    inputs.insert(inputs.end(), update.slots.begin(), update.slots.end());
    if (counts) inputs.push_back(step);
    graph.nodes.push_back(graph.make(row.op, attrs_of(optimizer, row.op, axis), std::move(inputs),
                                     name + "/update", nullptr,
                                     1 + static_cast<int>(row.slots.size())));
  }
}

}  // namespace attune
