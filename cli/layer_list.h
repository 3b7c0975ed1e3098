#pragma once

#include "graph/ir/graph.h"

namespace attune::cli {

// Prints the layers of a model's forward graph as schemes count and name them.
void print_layers(const Graph& forward, bool json);

}  // namespace attune::cli
