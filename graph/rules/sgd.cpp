#include "graph/rules/update.h"

namespace attune {
namespace {

void infer(InferContext& context) { infer_update(context, context.attrs<SgdAttrs>().axis, 0); }

}  // namespace

const OpRules rules_sgd = {infer, nullptr};

}  // namespace attune
