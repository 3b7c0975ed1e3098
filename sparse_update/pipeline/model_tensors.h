#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "attune/plan.h"
#include "graph/import/model.h"
#include "graph/ir/graph.h"

namespace attune {

// The parameters that a plan trains, from a session's state or from a plan's initial one.
std::vector<ModelTensor> trained_tensors(const Plan& plan, std::span<const std::byte> state);

// A parameter of a graph, with the contents that the graph gives it.
ModelTensor model_tensor(const Value& parameter);

}  // namespace attune
