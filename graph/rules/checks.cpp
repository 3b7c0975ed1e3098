#include "graph/rules/checks.h"

namespace attune {

DType real_dtype(const InferContext& context, int i) {
  if (!is_real(context.dtype(i)))
    context.fail("input {} is {}, where f32 or f64 is needed", i, dtype_name(context.dtype(i)));
  return context.dtype(i);
}

DType same_reals(const InferContext& context, int from, int to) {
  const DType dtype = real_dtype(context, from);
  for (int i = from + 1; i < to; ++i)
    if (context.has(i) && context.dtype(i) != dtype)
      context.fail("input {} is {}, where {} is needed as for input {}", i,
                   dtype_name(context.dtype(i)), dtype_name(dtype), from);
  return dtype;
}

DType all_reals(const InferContext& context) {
  return same_reals(context, 0, static_cast<int>(context.node().inputs.size()));
}

DType whole_dtype(const InferContext& context) {
  const DType dtype = context.dtype(0);
  for (int i = 0; i < static_cast<int>(context.node().inputs.size()); ++i)
    if (context.dtype(i) != dtype || dtype == DType::mask)
      context.fail("input {} is {}, where {} is needed", i, dtype_name(context.dtype(i)),
                   dtype == DType::mask ? "a type of whole bytes" : dtype_name(dtype));
  return dtype;
}

void check_dtype(const InferContext& context, int i, const char* what, DType dtype) {
  if (context.dtype(i) != dtype)
    context.fail("{} is {}, where {} is needed", what, dtype_name(context.dtype(i)),
                 dtype_name(dtype));
}

void check_rank(const InferContext& context, int i, const char* what, int rank) {
  if (context.shape(i).rank != rank)
    context.fail("{} is {}, where {} axes are needed", what, shape_text(context.shape(i)), rank);
}

void check_min_rank(const InferContext& context, int i, const char* what, int rank) {
  if (context.shape(i).rank < rank)
    context.fail("{} is {}, where at least {} axes are needed", what, shape_text(context.shape(i)),
                 rank);
}

void check_shape(const InferContext& context, int i, const char* what, const Shape& shape) {
  if (!(context.shape(i) == shape))
    context.fail("{} is {}, where {} is needed", what, shape_text(context.shape(i)),
                 shape_text(shape));
}

void check_axis(const InferContext& context, int i, int axis) {
  if (axis < 0 || axis >= context.shape(i).rank)
    context.fail("axis {} of {}", axis, shape_text(context.shape(i)));
}

void set_masked_grad(InferContext& context, int mask, DType dtype, const Shape& dx) {
  if (context.has(mask)) {
    check_dtype(context, mask, "the mask", DType::mask);
    check_shape(context, mask, "the mask", dx);
  } else if (context.node().output(1) != kNone) {
    context.fail("a sum without a mask");
  }
  context.set(0, dtype, dx);
  Shape sum = dx;
  for (int i = 0; i + 1 < sum.rank; ++i) sum[i] = 1;
  context.set(1, dtype, sum);
}

void infer_unary(InferContext& context) {
  context.set(0, real_dtype(context, 0), context.shape(0));
}

void infer_binary_grad(InferContext& context) {
  const DType dtype = all_reals(context);
  check_shape(context, 1, "the forward value", context.shape(0));
  context.set(0, dtype, context.shape(0));
}

}  // namespace attune
