#pragma once

#include "graph/ir/graph.h"

namespace attune {

// The port that gives the number of the step, made where there is none.
ValueId step_input(Graph& graph);

// Random numbers of every step's own: `random` reads that port. Before, it reads a constant, and
// draws the same numbers in every run.
void draw_by_step(Graph& graph);

}  // namespace attune
