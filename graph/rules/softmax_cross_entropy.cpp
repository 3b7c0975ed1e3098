#include "graph/rules/checks.h"

namespace attune {
namespace {

DType check(const InferContext& context, const char* first) {
  const DType dtype = real_dtype(context, 0);
  check_rank(context, 0, first, 2);
  check_dtype(context, 1, "labels", DType::i32);
  check_dtype(context, 2, "weights", dtype);
  const Shape examples = {context.shape(0)[0]};
  check_shape(context, 1, "labels", examples);
  check_shape(context, 2, "weights", examples);
  return dtype;
}

void infer(InferContext& context) {
  const DType dtype = check(context, "logits");
  context.set(0, dtype, {1});
  context.set(1, dtype, context.shape(0));
}

void infer_grad(InferContext& context) {
  const DType dtype = check(context, "probabilities");
  context.set(0, dtype, context.shape(0));
}

}  // namespace

const OpRules rules_softmax_cross_entropy = {infer, nullptr};
const OpRules rules_softmax_cross_entropy_grad = {infer_grad, nullptr};

}  // namespace attune
