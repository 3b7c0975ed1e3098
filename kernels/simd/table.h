#pragma once

#include "kernels/kernel.h"

namespace attune {

// Whether the processor has any instruction set that the backend is compiled for.
bool simd_available();

// Null where this backend has no kernel for the operator in this dtype. Callers go through
// find_kernel.
const Kernel* find_simd_kernel(Op op, DType dtype);

}  // namespace attune
