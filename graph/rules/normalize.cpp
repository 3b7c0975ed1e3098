#include "graph/rules/checks.h"

namespace attune {
namespace {

void infer(InferContext& context) {
  check_dtype(context, 0, "x", DType::u8);
  check_rank(context, 0, "x", 4);
  const DType dtype = same_reals(context, 1, 3);
  const Shape channels = {context.shape(0)[3]};
  check_shape(context, 1, "scale", channels);
  check_shape(context, 2, "offset", channels);
  context.set(0, dtype, context.shape(0));
}

}  // namespace

const OpRules rules_normalize = {infer, nullptr};

}  // namespace attune
