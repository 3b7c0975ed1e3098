#pragma once

#include <cstdint>
#include <span>

#include "attune/tensor.h"
#include "kernels/op.h"

namespace attune {

// Fills an operator's attribute struct from the plan's lists. False where the counts or the values
// (infinite strides, booleans other than 0 and 1) are not the operator's.
bool decode_attrs(Op op, std::span<const int32_t> ints, std::span<const double> reals, void* attrs);

// Whether a kernel of this operator would stay inside these tensors. Returns null, or what is
// wrong. Absent tensors have null data; present ones any other. Data is not read.
const char* check_step(Op op, const void* attrs, std::span<const Tensor> inputs,
                       std::span<const Tensor> outputs, DType real);

}  // namespace attune
