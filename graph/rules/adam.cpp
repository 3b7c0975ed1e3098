#include "graph/rules/checks.h"
#include "graph/rules/update.h"

namespace attune {
namespace {

void infer(InferContext& context) {
  infer_update(context, context.attrs<AdamAttrs>().axis, 2);
  check_dtype(context, 6, "step", DType::i32);
  check_shape(context, 6, "step", {1});
}

}  // namespace

const OpRules rules_adam = {infer, nullptr};

}  // namespace attune
