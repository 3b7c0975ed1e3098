#pragma once

#include <cstdint>

#include "graph/ir/graph.h"

namespace attune {

// Replaces the model's last layer (linear, or a 1x1 convolution of a 1x1 image, with its bias) by a
// fresh one with `classes` outputs: weights normal with deviation 0.02 from `seed`, biases zero.
// What follows it may only reshape or apply softmax. The new parameters keep the old ones' names.
// Throws Error where the model does not end so.
void replace_head(Graph& graph, int classes, uint64_t seed);

}  // namespace attune
