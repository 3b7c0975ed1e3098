#pragma once

#include <cstdint>

#include "kernels/attrs.h"

namespace attune {

enum class Op : uint16_t {
#define OP(id, name, ...) name = id,
#include "kernels/ops.def"
#undef OP
};

inline constexpr int kOpCount = 0
#define OP(...) +1
#include "kernels/ops.def"
#undef OP
    ;

enum class OpKind : uint8_t { forward, flat, loss, metric, backward, update };

inline constexpr int kAnyNumber = 255;

struct OpInfo {
  Op op;
  const char* name;
  int version;
  OpKind kind;
  unsigned in_place;  // see ops.def
  // From the signature: absent inputs are allowed at and behind `required_inputs`, and where
  // input_optional says so.
  int required_inputs = 0;
  int max_inputs = 0;  // kAnyNumber: no limit
  int max_outputs = 0;
};

extern const OpInfo kOps[kOpCount];  // in signature.cpp

inline const OpInfo& op_info(Op op) { return kOps[static_cast<int>(op)]; }
inline const char* op_name(Op op) { return op_info(op).name; }

// The input that an operator writes output i over, or -1: of updates w, then the optimizer's state.
int updated_input(Op op, int output);

// Whether an absent input (`data == nullptr`) is allowed at this place.
bool input_optional(Op op, int input);

// Calls f with a default-constructed attribute struct of the operator's type.
template <class F>
constexpr auto with_attrs_type(Op op, F&& f) {
  switch (op) {
#define OP(id, name, version, kind, Attrs, in_place, signature) \
  case Op::name:                                                \
    return f(Attrs{});
#include "kernels/ops.def"
#undef OP
  }
  return f(NoAttrs{});
}

}  // namespace attune
