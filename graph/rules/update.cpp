#include "graph/rules/update.h"

#include "graph/rules/checks.h"

namespace attune {

void infer_update(InferContext& context, int axis, int states) {
  const DType dtype = same_reals(context, 0, 3);
  const Shape& w = context.shape(0);
  Shape dw = w;
  check_shape(context, 2, "the learning rate", {1});
  if (context.has(3)) {
    check_axis(context, 0, axis);
    check_dtype(context, 3, "indices", DType::i32);
    check_rank(context, 3, "indices", 1);
    dw[axis] = context.shape(3)[0];
    if (dw[axis] > w[axis])
      context.fail("{} indices into axis {} with {} elements", dw[axis], axis, w[axis]);
    if (const Value& indices = context.input(3); indices.data)
      for (int64_t index : indices.data->ints())
        if (index < 0 || index >= w[axis])
          context.fail("index {} of axis {} with {} elements", index, axis, w[axis]);
  }
  check_shape(context, 1, "the gradient", dw);
  context.set(0, dtype, w);
  for (int i = 0; i < states; ++i) {
    check_dtype(context, 4 + i, "the optimizer's state", dtype);
    check_shape(context, 4 + i, "the optimizer's state", dw);
    context.set(1 + i, dtype, dw);
  }
}

}  // namespace attune
