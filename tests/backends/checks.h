#pragma once

#include "kernels/kernel.h"

// What every backend for layers whose weights change has to keep.
namespace attune::test {

// Convolutions agree with the reference, whatever the threads.
void check_convolutions(Backend backend);
// A mask without a clamp is true where y is finite.
void check_mask_without_clamp(Backend backend);
// NaN passes through the clamp and its mask is false.
void check_nan(Backend backend);
// The gradient of some channels has the bits of the whole gradient.
void check_gradient_slices(Backend backend);
// Linear agrees with the reference.
void check_linear(Backend backend);
// Matmul agrees with the reference, transposed or not, and slices keep their bits.
void check_matmul(Backend backend);
// Reduce agrees with the reference over runs of axes.
void check_reduce(Backend backend);
// Reduce leaves axes that are not neighbours, and the last one, to others.
void check_reduce_supports(Backend backend);

}  // namespace attune::test
