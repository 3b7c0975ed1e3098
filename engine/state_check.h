#pragma once

#include <cstddef>
#include <span>

#include "attune/status.h"
#include "engine/format/plan_generated.h"

namespace attune {

// Whether what a plan trains, and its optimizer's tensors, are finite numbers in `state`; an error
// names the first that is not. The last update's numbers went into no loss yet.
Status check_finite(const format::Plan& plan, std::span<const std::byte> state);

}  // namespace attune
