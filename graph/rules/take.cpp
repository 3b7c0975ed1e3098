#include "graph/rules/checks.h"

namespace attune {
namespace {

void infer(InferContext& context) {
  const DType dtype = real_dtype(context, 0);
  check_rank(context, 0, "table", 2);
  check_dtype(context, 1, "ids", DType::i32);
  Shape y = context.shape(1);
  if (y.rank == kMaxRank) context.fail("ids of {} axes, and their rows need one more", y.rank);
  y[y.rank++] = context.shape(0)[1];
  context.set(0, dtype, y);
}

}  // namespace

const OpRules rules_take = {infer, nullptr};

}  // namespace attune
