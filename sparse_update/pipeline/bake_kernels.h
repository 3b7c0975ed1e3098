#pragma once

#include "attune/session.h"
#include "sparse_update/pipeline/compile.h"

namespace attune {

// Chooses the kernels of all steps now, as a session of these options does on this machine, and
// writes the choice into the plan: a device with the same library then runs the same kernels,
// whatever it would choose itself, and so the same bits where their instruction sets are the same.
// Sessions that are given another backend than `best` do not follow it. Throws Error.
void bake_kernels(Compiled& compiled, const SessionOptions& options);

}  // namespace attune
