#pragma once

#include "kernels/kernel.h"

// The tables of the backends, of which a build may lack some. Null where a backend has no kernel
// for the operator in this dtype. Callers go through find_kernel.
namespace attune {

const Kernel* find_reference_kernel(Op op, DType dtype);  // has all of them in f32 and f64
const Kernel* find_eigen_kernel(Op op, DType dtype);
const Kernel* find_xnnpack_kernel(Op op, DType dtype);
const Kernel* find_simd_kernel(Op op, DType dtype);

// Whether the processor has any instruction set that simd is compiled for.
bool simd_available();

}  // namespace attune
