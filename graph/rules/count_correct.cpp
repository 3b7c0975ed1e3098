#include "graph/rules/checks.h"

namespace attune {
namespace {

void infer(InferContext& context) {
  const DType dtype = real_dtype(context, 0);
  check_rank(context, 0, "logits", 2);
  check_dtype(context, 1, "labels", DType::i32);
  check_dtype(context, 2, "weights", dtype);
  const Shape examples = {context.shape(0)[0]};
  check_shape(context, 1, "labels", examples);
  check_shape(context, 2, "weights", examples);
  context.set(0, dtype, {1});
}

}  // namespace

const OpRules rules_count_correct = {infer, nullptr};

}  // namespace attune
