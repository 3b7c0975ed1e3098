#pragma once

#include "graph/ir/graph.h"

namespace attune {

// Moves nodes away from where most bytes are alive, as long as that helps: what makes something
// large there waits (a weight's gradient, until the saved activations behind it are gone), what
// reads something for the last time behind it is brought forward. Deterministic; never raises the
// peak.
void lower_peak(Graph& graph);

// The most bytes alive from the loss on; 0 where there is none.
int64_t peak_behind_loss(const Graph& graph);

}  // namespace attune
