#pragma once

#include "attune/custom_kernel.h"
#include "attune/status.h"

namespace attune {

// Makes an operator of the application's own known (kernels/custom.h says what one is), before a
// plan that has it is loaded: Plan::load refuses others by their name. Never allocates; call it
// from one thread, when the program starts. Fails where `op` is incomplete, another one has its
// name, or there are 64.
inline Status register_operator(const CustomOperator& op) {
  const char* wrong = add_custom_operator(op);
  return wrong == nullptr ? Status::ok()
                          : Status::error("operator %s: %s", op.name ? op.name : "?", wrong);
}

}  // namespace attune
