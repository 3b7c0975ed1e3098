#include <algorithm>

#include "graph/import/common/known_math.h"
#include "graph/import/onnx/onnx_node.h"

namespace attune {
namespace {

void set_reshaped(OnnxNode& n, const Dims& dims) {
  if (n.is_known(0)) return n.set(0, reshape(n.known(0, "input"), dims));
  n.set(0, n.reshape(n.stored(0), dims, nullptr));
}

}  // namespace

// 0 copies a size (unless allowzero), one -1 is what remains.
void import_Reshape(OnnxNode& n) {
  const Dims from = n.dims(0);
  Dims dims = n.opset() < 5 ? n.ints("shape") : n.known_ints(1, "shape");
  int64_t known = 1;
  int unknown = -1;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0 && n.integer("allowzero", 0) == 0) {
      if (i >= from.size())
        n.fail("shape {} copies axis {} of {}", dims_text(dims), i, dims_text(from));
      dims[i] = from[i];
    }
    if (dims[i] < -1 || (dims[i] == -1 && unknown >= 0)) n.fail("shape {}", dims_text(dims));
    if (dims[i] == -1)
      unknown = static_cast<int>(i);
    else if (__builtin_mul_overflow(known, dims[i], &known))
      n.fail("shape {} is too large", dims_text(dims));
  }
  const int64_t elements = count_elements(from);
  if (unknown >= 0) {
    if (known == 0 || elements % known != 0)
      n.fail("{} elements do not divide into {}", elements, dims_text(dims));
    dims[unknown] = elements / known;
  } else if (known != elements) {
    n.fail("shape {} does not have the elements of {}", dims_text(dims), dims_text(from));
  }
  set_reshaped(n, dims);
}

void import_Flatten(OnnxNode& n) {
  const Dims from = n.dims(0);
  const int rank = static_cast<int>(from.size());
  const int64_t axis = n.integer("axis", 1);
  const int split = axis == rank ? rank : normal_axis(axis, rank);
  const Dims left(from.begin(), from.begin() + split), right(from.begin() + split, from.end());
  set_reshaped(n, {count_elements(left), count_elements(right)});
}

void import_Squeeze(OnnxNode& n) {
  const Dims from = n.dims(0);
  const int rank = static_cast<int>(from.size());
  std::vector<bool> drop(rank, false);
  if (const auto axes = n.ints_of("axes", 1)) {
    for (int64_t a : *axes) {
      const int axis = normal_axis(a, rank);
      if (from[axis] != 1) n.fail("axis {} of {} is not of size 1", a, dims_text(from));
      drop[axis] = true;
    }
  } else {
    for (int i = 0; i < rank; ++i) drop[i] = from[i] == 1;
  }
  Dims dims;
  for (int i = 0; i < rank; ++i)
    if (!drop[i]) dims.push_back(from[i]);
  set_reshaped(n, dims);
}

void import_Unsqueeze(OnnxNode& n) {
  const Dims from = n.dims(0);
  const auto axes = n.ints_of("axes", 1);
  if (!axes) n.fail("it has no axes");
  const int rank = static_cast<int>(from.size() + axes->size());
  std::vector<bool> added(rank, false);
  for (int64_t a : *axes) {
    const int axis = normal_axis(a, rank);
    if (added[axis]) n.fail("axis {} is added twice", a);
    added[axis] = true;
  }
  Dims dims;
  auto next = from.begin();
  for (int i = 0; i < rank; ++i) dims.push_back(added[i] ? 1 : *next++);
  set_reshaped(n, dims);
}

void import_Transpose(OnnxNode& n) {
  const int rank = n.rank(0);
  Dims wanted;
  for (int i = rank - 1; i >= 0; --i) wanted.push_back(i);
  wanted = n.ints("perm", wanted);
  Dims sorted = wanted;
  std::sort(sorted.begin(), sorted.end());
  for (int i = 0; i < rank; ++i)
    if (static_cast<int>(wanted.size()) != rank || sorted[i] != i)
      n.fail("perm {} of {} axes", dims_text(wanted), rank);
  const std::vector<int> perm(wanted.begin(), wanted.end());
  if (n.is_known(0)) return n.set(0, transpose(n.known(0, "input"), perm));
  n.set(0, n.transpose(n.value(0), perm, nullptr));
}

void import_Expand(OnnxNode& n) {
  const Dims dims = broadcast_dims(n.dims(0), n.known_ints(1, "shape"));
  if (n.is_known(0) && !n.trains(0, Use::operand)) {
    count_elements(dims);
    return n.set(0, broadcast(n.known(0, "input"), dims));
  }
  const Shape wanted = to_shape(dims);
  const ValueId x = n.operand(0);
  if (n.shape(x) == wanted) return n.set(0, x);
  n.set(0, n.emit(Op::broadcast_to, BroadcastAttrs{}, {x}, nullptr, &wanted));
}

}  // namespace attune
