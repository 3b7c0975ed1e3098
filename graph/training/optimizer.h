#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/ir/graph.h"

namespace attune {

enum class OptimizerKind { sgd, momentum, adam, adamw };

struct Optimizer {
  OptimizerKind kind = OptimizerKind::sgd;
  double momentum = 0.9;
  bool nesterov = false;
  double weight_decay = 0;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;

  std::string text() const;                     // "momentum 0.9 nesterov, weight decay 0.0001"
  std::vector<std::string> slot_names() const;  // "velocity"; "m", "v"
};

OptimizerKind parse_optimizer(const std::string& name);  // throws Error that lists the names

// A parameter to train, or channels of it along one axis of our layout, and its gradient, which is
// as narrow.
struct Update {
  ValueId parameter = kNone;
  ValueId gradient = kNone;
  int axis = -1;                  // -1: all of it
  std::vector<int64_t> channels;  // increasing
  // Made by append_optimizer: the optimizer's state, one value for each slot name.
  std::vector<ValueId> slots;
};

// Appends one update node for each entry, in order, and the input ports "learning_rate" and, for
// Adam, "step". The rate is an input so that schedules need no new plan. A table that is only
// looked up by ids is updated by rows: those that the batch names, and their state.
void append_optimizer(Graph& graph, const Optimizer& optimizer, std::vector<Update>& updates);

}  // namespace attune
