#pragma once

#include <string>
#include <variant>
#include <vector>

#include "kernels/op.h"

namespace attune {

// The attributes of a node, of the type that its operator has.
using AnyAttrs =
    std::variant<NoAttrs, Conv2dAttrs, LinearAttrs, MatmulAttrs, BatchNormAttrs, ScaleAttrs,
                 ClampAttrs, HardSigmoidAttrs, Pool2dAttrs, ReduceAttrs, BroadcastAttrs,
                 TransposeAttrs, AxisAttrs, SliceAttrs, CumsumAttrs, RandomAttrs, HuberAttrs,
                 SgdAttrs, MomentumAttrs, AdamAttrs, RunningStatisticsAttrs>;

// Default attributes of the operator's type.
AnyAttrs default_attrs(Op op);
bool attrs_match(Op op, const AnyAttrs& attrs);
const void* attrs_data(const AnyAttrs& attrs);

// All fields in order as the plan stores them: integers and booleans, and reals.
void encode_attrs(const AnyAttrs& attrs, std::vector<int32_t>* ints, std::vector<double>* reals);

// "stride_h=2 pad_top=1": the fields that differ from their defaults.
std::string attrs_text(const AnyAttrs& attrs);

}  // namespace attune
