#pragma once

#include "attune/plan.h"

namespace attune {

// Checks every index, size, offset, alignment, arity and shape of a plan that FlatBuffers' own
// verifier has passed. `name` starts the messages.
Status verify_plan(const format::Plan& plan, std::span<const std::byte> constants,
                   size_t initial_state_bytes, const char* name, const Allocator& allocator);

}  // namespace attune
