#pragma once

#include "graph/rules/rules.h"

// What infer rules have in common. Each fails with a message that names the operator and its
// inputs.
namespace attune {

// The dtype of input i, which is f32 or f64.
DType real_dtype(const InferContext& context, int i);
// The dtype that inputs `from` .. `to` - 1 share (absent ones aside): f32 or f64.
DType same_reals(const InferContext& context, int from, int to);
// same_reals of all inputs.
DType all_reals(const InferContext& context);

// The dtype that all inputs share: any but mask, whose elements are not whole bytes.
DType whole_dtype(const InferContext& context);

void check_dtype(const InferContext& context, int i, const char* what, DType dtype);
void check_rank(const InferContext& context, int i, const char* what, int rank);
void check_min_rank(const InferContext& context, int i, const char* what, int rank);
void check_shape(const InferContext& context, int i, const char* what, const Shape& shape);
// `axis` is one of the axes of input i.
void check_axis(const InferContext& context, int i, int axis);

// Sets dx, where input `mask` is absent or a mask of it, and the sum of dx over all axes but the
// last.
void set_masked_grad(InferContext& context, int mask, DType dtype, const Shape& dx);

// Infer rules of several operators: y of x's shape; dx of dy's, the second input shaped alike.
void infer_unary(InferContext& context);
void infer_binary_grad(InferContext& context);

}  // namespace attune
