#include "graph/rules/checks.h"

namespace attune {
namespace {

void infer(InferContext& context) {
  const int axis = context.attrs<AxisAttrs>().axis;
  const DType dtype = real_dtype(context, 0);
  check_axis(context, 0, axis);
  check_dtype(context, 1, "indices", DType::i32);
  check_rank(context, 1, "indices", 1);
  Shape y = context.shape(0);
  if (const Value& indices = context.input(1); indices.data)
    for (int64_t index : indices.data->ints())
      if (index < 0 || index >= y[axis])
        context.fail("index {} of axis {} with {} elements", index, axis, y[axis]);
  y[axis] = context.shape(1)[0];
  context.set(0, dtype, y);
}

}  // namespace

const OpRules rules_gather = {infer, nullptr};

}  // namespace attune
