#pragma once

#include "attune/plan.h"

namespace attune {

// Bounds what reading and checking a plan takes, whatever its table says: time linear in the file,
// and texts that are no longer than it. FlatBuffers lets any number of tables point to one list or
// text; an honest plan has one for each. Before `verify_plan`.
Status check_plan_limits(const format::Plan& plan, size_t table_bytes,
                         std::span<const std::byte> constants, const char* name);

}  // namespace attune
