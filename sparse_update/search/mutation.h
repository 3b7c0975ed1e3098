#pragma once

#include "engine/random.h"
#include "sparse_update/sensitivity/space.h"

namespace attune {

// Changes one thing: how deep biases are trained, mostly by a little, or the share of one layer.
void mutate(const SearchSpace& space, SchemePoint& point, Random& random);

// Freezes weights before the last `bias_last` layers: the backward pass does not go there.
void trim(SchemePoint& point);

}  // namespace attune
