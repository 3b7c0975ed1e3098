#pragma once

#include <map>
#include <vector>

#include "graph/ir/graph.h"
#include "graph/training/optimizer.h"
#include "sparse_update/scheme.h"

namespace attune {

// Marks the parameters that a scheme trains (Value::trained). Throws Error where one is missing.
void mark_trained(Graph& graph, const Scheme& scheme);

// Narrows the complete backward graph to a scheme. `gradients` maps each parameter to the gradient
// of the whole of it. For a slice of channels the weight gradient reads only those channels of the
// saved activation (gathered right where it is made, so that only they are kept) or of the output's
// gradient: the same operator on narrower tensors, hence the same bits. Returns what the optimizer
// is to update. What no update needs any more is dead afterwards; remove_dead takes it away, and
// with it the backward pass below the earliest trained layer.
std::vector<Update> prune(Graph& graph, const Scheme& scheme,
                          const std::map<ValueId, ValueId>& gradients);

}  // namespace attune
