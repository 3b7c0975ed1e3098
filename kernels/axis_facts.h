#pragma once

#include "kernels/op.h"

namespace attune {

// What an operator's attributes say of axes, whatever their struct: for code that goes by
// signatures.
struct AxisFacts {
  // One side of an image, and the windows over it. `input`, `kernel`: sizes that are stated, or 0.
  struct Window {
    int32_t stride = 1, dilation = 1, pad_before = 0, pad_after = 0, input = 0, kernel = 0;
  };

  int32_t axis = 0;       // where the name between two .. sits
  int32_t groups = 1;     // the size of G
  bool swapped[2] = {};   // by input: ~
  int32_t gates = 0;      // of a recurrent operator: G; K is as large as H, and P is 2
  bool clamps = false;    // the output is clamped after the sums
  bool mean = false;      // sums are divided
  bool windowed = false;  // rows and columns are set
  Window rows, columns;
  bool slices = false;  // from `start` on
  int32_t start = 0;
  bool reduces = false;  // the axes whose bits are set in `reduced`
  int32_t reduced = 0;
  const int32_t* perm = nullptr;        // of a transpose, in the attributes
  const CustomAttrs* custom = nullptr;  // of an operator of the user's own
};

inline AxisFacts axis_facts(Op op, const void* attrs) {
  AxisFacts facts;
  if (attrs == nullptr) return facts;
  with_attrs_type(op, [&](auto type) {
    const auto& a = *static_cast<const decltype(type)*>(attrs);
    if constexpr (requires { a.axis; }) facts.axis = a.axis;
    if constexpr (requires { a.groups; }) facts.groups = a.groups;
    if constexpr (requires { a.gates; }) facts.groups = facts.gates = a.gates;
    if constexpr (requires { a.transpose_a; })
      facts.swapped[0] = a.transpose_a, facts.swapped[1] = a.transpose_b;
    if constexpr (requires { a.clamps(); }) facts.clamps = a.clamps();
    if constexpr (requires { a.mean; }) facts.mean = a.mean;
    if constexpr (requires { a.pad_top; }) {
      facts.windowed = true;
      facts.rows = {a.stride_h, a.dilation_h, a.pad_top, a.pad_bottom, a.input_h, a.kernel_h};
      facts.columns = {a.stride_w, a.dilation_w, a.pad_left, a.pad_right, a.input_w, a.kernel_w};
    }
    if constexpr (requires { a.start; }) facts.slices = true, facts.start = a.start;
    if constexpr (requires { a.axes; }) facts.reduces = true, facts.reduced = a.axes;
    if constexpr (requires { a.perm; }) facts.perm = a.perm;
    if constexpr (requires { a.parameters; }) facts.custom = &a;
    return 0;
  });
  return facts;
}

}  // namespace attune
