#pragma once

#include <map>
#include <vector>

#include "graph/ir/graph.h"

namespace attune {

// Appends the gradients of the loss to the graph by reverse accumulation: each gradient is a node
// of its own, uses of a value add up (so tied weights do), and nothing is emitted for values that
// no wanted gradient needs. `seed` maps loss inputs to their gradients, as attach_loss emits them.
// Returns the gradient of every value in `wanted` that the loss depends on.
std::map<ValueId, ValueId> differentiate(Graph& graph, const std::map<ValueId, ValueId>& seed,
                                         const std::vector<ValueId>& wanted);

// Operators that stand between `wanted` and the loss and have no gradient, as "node (operator)";
// empty where differentiate can go ahead.
std::vector<std::string> missing_gradients(const Graph& graph, ValueId loss_input,
                                           const std::vector<ValueId>& wanted);

}  // namespace attune
