#pragma once

#include "attune/plan.h"

namespace attune {

// The header and the table of a plan in memory: header, checksum and FlatBuffers' structure are
// checked, and nothing of what the table says.
Status read_plan_table(std::span<const std::byte> bytes, const char* name, PlanHeader* header,
                       const format::Plan** table);

// Checks every index, size, offset, alignment, arity and shape of a plan that FlatBuffers' own
// verifier has passed. `name` starts the messages.
Status verify_plan(const format::Plan& plan, std::span<const std::byte> constants,
                   size_t initial_state_bytes, const char* name, const Allocator& allocator);

}  // namespace attune
