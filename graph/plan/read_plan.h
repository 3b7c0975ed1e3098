#pragma once

#include <cstddef>
#include <span>

#include "attune/plan.h"
#include "graph/ir/graph.h"

namespace attune {

// A plan's program as a graph again: what the plan means, without its arena and its kernels.
// Constants and parameters are widened to double, so that `interpret` can run the graph in f64
// whatever the plan computes in. Views, which plans have no steps for, become reshape, slice and
// concat nodes. The other nodes are the program's steps in order; values carry the plan's names,
// and model tensors where they are ones. `state` holds a session's state; empty: what the plan
// starts from. Throws Error where the plan has no such program, or a step reads memory that nothing
// has written.
Graph graph_of_plan(const Plan& plan, ProgramKind kind, DType real,
                    std::span<const std::byte> state = {});

}  // namespace attune
