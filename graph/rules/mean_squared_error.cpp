#include "graph/rules/checks.h"

namespace attune {
namespace {

DType check(const InferContext& context) {
  const DType dtype = all_reals(context);
  check_min_rank(context, 0, "the prediction", 1);
  check_shape(context, 1, "the target", context.shape(0));
  check_shape(context, 2, "weights", {context.shape(0)[0]});
  return dtype;
}

void infer(InferContext& context) {
  const DType dtype = check(context);
  context.set(0, dtype, {1});
}

void infer_grad(InferContext& context) {
  const DType dtype = check(context);
  context.set(0, dtype, context.shape(0));
}

}  // namespace

const OpRules rules_mean_squared_error = {infer, nullptr};
const OpRules rules_mean_squared_error_grad = {infer_grad, nullptr};

}  // namespace attune
