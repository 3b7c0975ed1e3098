#pragma once

#include <optional>
#include <string>

#include "graph/ir/graph.h"

namespace attune {

// Where a forward graph's first output does not go example by example, in words: the node that
// mixes examples of a batch, or an output that does not have them on its first axis. Nothing where
// each example's output is its own. The graph is of a batch of two or more; of one that is a prime
// number, no other size is taken for the batch.
std::optional<std::string> mixed_examples(const Graph& graph, int batch);

}  // namespace attune
