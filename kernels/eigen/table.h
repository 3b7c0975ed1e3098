#pragma once

#include "kernels/kernel.h"

namespace attune {

// Null where this backend has no kernel for the operator in this dtype. Callers go through
// find_kernel.
const Kernel* find_eigen_kernel(Op op, DType dtype);

}  // namespace attune
