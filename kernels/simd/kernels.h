#pragma once

#include "kernels/geometry.h"
#include "kernels/kernel.h"
#include "kernels/selection.h"

// The kernels of each file of the backend, for the processor it runs on. Null: not in this file.
namespace attune::simd {

const Kernel* find_conv2d(Op op);
const Kernel* find_depthwise_conv2d(Op op);
const Kernel* find_linear_matmul(Op op);
const Kernel* find_elementwise(Op op);
const Kernel* find_update(Op op);
const Kernel* find_reduce(Op op);
const Kernel* find_max_pool2d(Op op);
const Kernel* find_transpose(Op op);

// Whether it is this operator, for which the library has kernels.
template <Op kOp>
constexpr bool is(Op op) {
  return operator_selected(kOp) && op == kOp;
}

// Defines one of these, in a file that defines `find`_here for each target.
#define ATTUNE_FIND_FOR_PROCESSOR(find)                                       \
  namespace attune::simd {                                                    \
  HWY_EXPORT(find##_here);                                                    \
  const Kernel* find(Op op) { return HWY_DYNAMIC_DISPATCH(find##_here)(op); } \
  }

}  // namespace attune::simd
