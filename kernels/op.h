#pragma once

#include <cstdint>

#include "kernels/attrs.h"

namespace attune {

enum class Op : uint16_t {
#define OP(id, name, version, kind, Attrs, required, inputs, outputs, in_place) name = id,
#include "kernels/ops.def"
#undef OP
};

enum class OpKind : uint8_t { forward, loss, metric, backward, update };

struct OpInfo {
  Op op;
  const char* name;
  int version;
  OpKind kind;
  int required_inputs;
  int max_inputs;  // 255: any number
  int max_outputs;
  unsigned in_place;  // see ops.def
};

inline constexpr OpInfo kOps[] = {
#define OP(id, name, version, kind, Attrs, required, inputs, outputs, in_place) \
  {Op::name, #name, version, OpKind::kind, required, inputs, outputs, in_place},
#include "kernels/ops.def"
#undef OP
};
inline constexpr int kOpCount = sizeof(kOps) / sizeof(kOps[0]);

constexpr const OpInfo& op_info(Op op) { return kOps[static_cast<int>(op)]; }
constexpr const char* op_name(Op op) { return op_info(op).name; }

// Update operators write output i over this input of theirs: w, then the optimizer's state.
constexpr int updated_input(Op op, int output) {
  if (op == Op::sgd) return 0;
  if (op == Op::momentum) return output == 0 ? 0 : 4;
  if (op == Op::adam) return output == 0 ? 0 : 3 + output;
  return -1;
}

// Whether an absent input (`data == nullptr`) is allowed at this place.
constexpr bool input_optional(Op op, int input) {
  if (op == Op::momentum || op == Op::adam || op == Op::sgd) return input == 3;
  return input >= op_info(op).required_inputs;
}

// Calls f with a default-constructed attribute struct of the operator's type.
template <class F>
constexpr auto with_attrs_type(Op op, F&& f) {
  switch (op) {
#define OP(id, name, version, kind, Attrs, required, inputs, outputs, in_place) \
  case Op::name:                                                                \
    return f(Attrs{});
#include "kernels/ops.def"
#undef OP
  }
  return f(NoAttrs{});
}

}  // namespace attune
