#pragma once

#include <span>

#include "graph/import/common/known_tensor.h"

// Arithmetic on tensors whose contents are known: what exporters leave of shape computations. All
// throw Error where ONNX gives no result, or where it would be larger than kMaxComputedElements.
namespace attune {

enum class Binary {
  add,
  sub,
  mul,
  div,
  mod,
  min,
  max,
  bit_and,  // of integers, as the next four
  bit_or,
  bit_xor,
  shift_left,
  shift_right,
  equal,  // from here on the result is a boolean
  less,
  less_or_equal,
  greater,
  greater_or_equal,
  logical_and,
  logical_or,
  logical_xor,
};
enum class Unary { logical_not, bit_not };

// NumPy's broadcasting. Integers wrap as their type does; their division truncates.
KnownTensor compute(Binary op, const KnownTensor& a, const KnownTensor& b);
KnownTensor compute(Unary op, const KnownTensor& x);
KnownTensor cast(const KnownTensor& x, ElementType type);
KnownTensor where(const KnownTensor& condition, const KnownTensor& a, const KnownTensor& b);
KnownTensor broadcast(const KnownTensor& x, const Dims& dims);
Dims broadcast_dims(const Dims& a, const Dims& b);

// These keep an initializer's view where they can.
KnownTensor reshape(const KnownTensor& x, const Dims& dims);
KnownTensor transpose(const KnownTensor& x, const Perm& perm);

KnownTensor tile(const KnownTensor& x, const Dims& counts);  // a count an axis
KnownTensor concat(const std::vector<KnownTensor>& parts, int axis);
KnownTensor gather(const KnownTensor& x, const KnownTensor& indices, int axis);
// `count` elements from `start` on, `step` apart (it may be negative), along an axis.
KnownTensor slice(const KnownTensor& x, int axis, int64_t start, int64_t count, int64_t step);

KnownTensor range(const KnownTensor& start, const KnownTensor& limit, const KnownTensor& delta);
// Of what is up to an element along an axis, or from it on; with it or without.
KnownTensor cumsum(const KnownTensor& x, int axis, bool exclusive, bool reverse);
KnownTensor reduce_prod(const KnownTensor& x, const std::vector<bool>& axes, bool keep);
KnownTensor vector_of(Dims values);  // i64, rank 1
// Numbers that were computed, as elements of a type; `derived` from what may be a parameter.
KnownTensor computed(ElementType type, const Dims& dims, std::span<const double> numbers,
                     bool derived);
// Whether what is computed from a tensor is computed from what may be a parameter.
bool is_trainable(const KnownTensor& x);

}  // namespace attune
