#pragma once

#include <cstdint>
#include <span>

#include "attune/dtype.h"
#include "engine/format/plan_generated.h"
#include "kernels/attrs.h"
#include "kernels/op.h"

// Operators of a plan that this library cannot run. Takes any plan that FlatBuffers' own verifier
// has passed.
namespace attune {

struct LackingOperator {
  enum Why : uint8_t { left_out, unknown, not_registered };
  Why why = unknown;
  uint16_t op = 0;
  uint8_t version = 0;
  DType type = DType::f32;               // where it was left out
  char custom[kMaxCustomName + 1] = {};  // its name, where it is a user's own

  bool operator==(const LackingOperator&) const = default;
};

inline constexpr int kMostLacking = 16;  // that are looked for

// Fills `found` with as many as it holds, each once. Returns how many those are.
int lacking_operators(const format::Plan& plan, std::span<LackingOperator> found);

// One line that names them all, as far as there is room, and says what to do.
void describe(std::span<const LackingOperator> lacking, char* text, size_t bytes);

}  // namespace attune
