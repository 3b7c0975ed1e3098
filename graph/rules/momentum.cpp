#include "graph/rules/update.h"

namespace attune {
namespace {

void infer(InferContext& context) { infer_update(context, context.attrs<MomentumAttrs>().axis, 1); }

}  // namespace

const OpRules rules_momentum = {infer, nullptr};

}  // namespace attune
