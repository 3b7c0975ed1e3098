#pragma once

#include <cstddef>

#include "kernels/kernel.h"

namespace attune {

namespace reference {

// Every operator in ops.def, for T = float and double.
#define OP(id, name, ...) \
  template <class T>      \
  void name(const KernelArgs& args);
#include "kernels/ops.def"
#undef OP

// What softmax_cross_entropy and mean_squared_error keep: one loss an example.
template <class T>
size_t loss_workspace_bytes(const KernelArgs& args, int threads);

}  // namespace reference

// Never null for f32 and f64, always null for other types.
const Kernel* find_reference_kernel(Op op, DType dtype);

}  // namespace attune
