#pragma once

#include "graph/graph.h"

// Passes over a graph, each in a file of its own. The pipeline that calls them, in order, is
// sparse_update/compile.cpp.
namespace attune {

// Computes nodes whose inputs are all constants (reference kernels in double).
void fold_constants(Graph& graph);

// Moves the transposes that import put around convolutional nodes through element-wise operators,
// pads them into constants, and removes the pairs that cancel, so that the convolutional part of the
// network is NHWC from end to end. Graph inputs stay as the model has them.
void to_channels_last(Graph& graph);

// Removes nodes none of whose outputs reaches a graph output or an in-place update.
void remove_dead(Graph& graph);

// Replaces a node by an earlier one that computes the same from the same inputs.
void share_common_subexpressions(Graph& graph);

}  // namespace attune
