#pragma once

#include "graph/rules/rules.h"

namespace attune {

// What the optimizers have in common: w, dw, lr[1], indices[K]? at inputs 0 to 3. Checks these and
// that the `states` inputs from input 4 on look like dw; describes the outputs: w and the states.
// Inputs from 4 + states on are the operator's own to check.
void infer_update(InferContext& context, int axis, int states);

}  // namespace attune
