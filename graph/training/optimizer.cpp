#include "graph/training/optimizer.h"

#include "graph/ir/error.h"

namespace attune {

OptimizerKind parse_optimizer(const std::string& name) {
  if (name == "sgd") return OptimizerKind::sgd;
  if (name == "momentum") return OptimizerKind::momentum;
  if (name == "adam") return OptimizerKind::adam;
  if (name == "adamw") return OptimizerKind::adamw;
  throw_error("optimizer '{}' is unknown; use sgd, momentum, adam or adamw", name);
}

std::string Optimizer::text() const {
  const auto with_decay = [&](std::string text) {
    return weight_decay != 0 ? fmt::format("{}, weight decay {}", text, weight_decay) : text;
  };
  switch (kind) {
    case OptimizerKind::sgd:
      return with_decay("sgd");
    case OptimizerKind::momentum:
      return with_decay(fmt::format("momentum {}{}", momentum, nesterov ? " nesterov" : ""));
    case OptimizerKind::adam:
    case OptimizerKind::adamw:
      return with_decay(fmt::format("{} betas {} {}, epsilon {}",
                                    kind == OptimizerKind::adam ? "adam" : "adamw", beta1, beta2,
                                    epsilon));
  }
  return {};
}

std::vector<std::string> Optimizer::slot_names() const {
  if (kind == OptimizerKind::sgd) return {};
  if (kind == OptimizerKind::momentum) return {"velocity"};
  return {"m", "v"};
}

void append_optimizer(Graph& graph, const Optimizer& optimizer, std::vector<Update>& updates) {
  const ValueId rate = graph.add_input("learning_rate", graph.real, Shape{1});
  const bool adam = optimizer.kind == OptimizerKind::adam || optimizer.kind == OptimizerKind::adamw;
  const ValueId step = adam ? graph.add_input("step", DType::i32, Shape{1}) : kNone;

  for (Update& update : updates) {
    const std::string name = graph.value(update.parameter).name;
    const int32_t axis = update.axis < 0 ? 0 : update.axis;
    const ValueId indices =
        update.axis < 0 ? kNone : graph.add_index_constant(name + ".channels", update.channels);
    for (const std::string& slot : optimizer.slot_names()) {
      Value value;
      value.name = fmt::format("{}.{}", name, slot);
      value.dtype = graph.real;
      value.shape = graph.shape(update.gradient);
      value.role = Role::state;
      update.slots.push_back(graph.add_value(std::move(value)));
    }
    std::vector<ValueId> inputs = {update.parameter, update.gradient, rate, indices};
    inputs.insert(inputs.end(), update.slots.begin(), update.slots.end());
    const std::string node_name = name + "/update";
    const int outputs = 1 + static_cast<int>(update.slots.size());
    const double decay = optimizer.weight_decay;
    const auto append = [&](Op op, AnyAttrs attrs) {
      graph.nodes.push_back(
          graph.make(op, std::move(attrs), std::move(inputs), node_name, nullptr, outputs));
    };
    if (optimizer.kind == OptimizerKind::sgd) {
      append(Op::sgd, SgdAttrs{.weight_decay = decay, .axis = axis});
    } else if (optimizer.kind == OptimizerKind::momentum) {
      append(Op::momentum, MomentumAttrs{.momentum = optimizer.momentum,
                                         .weight_decay = decay,
                                         .nesterov = optimizer.nesterov,
                                         .axis = axis});
    } else {
      inputs.push_back(step);
      append(Op::adam, AdamAttrs{.beta1 = optimizer.beta1,
                                 .beta2 = optimizer.beta2,
                                 .epsilon = optimizer.epsilon,
                                 .weight_decay = decay,
                                 .decoupled = optimizer.kind == OptimizerKind::adamw,
                                 .axis = axis});
    }
  }
}

}  // namespace attune
