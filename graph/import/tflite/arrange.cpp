#include <algorithm>

#include "graph/import/common/known_math.h"
#include "graph/import/tflite/tflite_node.h"

namespace attune {
namespace {

// One -1 is what remains.
Dims resolved(const TfliteNode& n, Dims shape) {
  const int64_t elements = count_elements(n.dims(0));
  const auto open = std::find(shape.begin(), shape.end(), -1);
  if (open != shape.end()) {
    *open = 1;
    const int64_t others = count_elements(shape);
    if (others == 0 || elements % others != 0)
      n.fail("{} elements do not divide into {}", elements, dims_text(shape));
    *open = elements / others;
  }
  return shape;
}

// Parts along an axis, of which some may be constants.
std::string concatenate(TfliteNode& n, const Dims& one, int axis, bool whole) {
  std::vector<std::string> parts;
  for (int i = 0; i < n.input_count(); ++i) {
    Dims own = n.dims(i);
    if (own.size() != one.size()) n.fail("its inputs have different numbers of axes");
    own[static_cast<size_t>(axis)] = one[static_cast<size_t>(axis)];
    if (own != one)
      n.fail("its inputs have shapes {} and {}", dims_text(one), dims_text(n.dims(i)));
    parts.push_back(n.repeated(i, n.dims(i), whole));
  }
  return n.emit("Concat", parts, {{"axis", int64_t{axis + (whole ? 1 : 0)}}});
}

}  // namespace

void translate_RESHAPE(TfliteNode& n) {
  if (n.has(1)) return n.alias(0, 0, resolved(n, n.ints(1, "shape")));
  const auto* shape = n.options(n.op().builtin_options_as_ReshapeOptions()).new_shape();
  if (shape == nullptr) n.fail("it has no shape");
  n.alias(0, 0, resolved(n, {shape->begin(), shape->end()}));
}

void translate_SQUEEZE(TfliteNode& n) {
  const auto* given = n.options(n.op().builtin_options_as_SqueezeOptions()).squeeze_dims();
  std::vector<bool> drop(n.dims(0).size(), given == nullptr || given->size() == 0);
  for (uint32_t i = 0; given != nullptr && i < given->size(); ++i) {
    const int axis = n.axis(given->Get(i), n.rank(0));
    if (n.dims(0)[static_cast<size_t>(axis)] != 1)
      n.fail("axis {} of {} is not of size 1", axis, dims_text(n.dims(0)));
    drop[static_cast<size_t>(axis)] = true;
  }
  Dims y;
  for (size_t i = 0; i < drop.size(); ++i)
    if (!drop[i] || n.dims(0)[i] != 1) y.push_back(n.dims(0)[i]);
  n.alias(0, 0, y);
}

void translate_EXPAND_DIMS(TfliteNode& n) {
  const Dims axis = n.ints(1, "axis");
  if (axis.size() != 1) n.fail("{} axes", axis.size());
  Dims y = n.dims(0);
  y.insert(y.begin() + n.axis(axis[0], n.rank(0) + 1), 1);
  n.alias(0, 0, y);
}

void translate_TRANSPOSE(TfliteNode& n) {
  const Dims wanted = n.ints(1, "permutation");
  Dims sorted = wanted, y;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i)
    if (sorted.size() != n.dims(0).size() || sorted[i] != static_cast<int64_t>(i))
      n.fail("permutation {} of {} axes", dims_text(wanted), n.rank(0));
  for (const int64_t axis : wanted) y.push_back(n.dims(0)[static_cast<size_t>(axis)]);
  if (n.is_known(0))
    return n.set_known(0, transpose(n.known(0, "input"), Perm(wanted.begin(), wanted.end())));
  if (!wanted.empty() && wanted[0] == 0 && n.dims(0)[0] == 1)
    return n.set(0, n.emit("Transpose", {n.value(0)}, {{"perm", wanted}}), y);
  Dims perm = {0};
  for (const int64_t axis : wanted) perm.push_back(axis + 1);
  n.set(0, n.emit("Transpose", {n.value(0, n.dims(0))}, {{"perm", perm}}), y, y);
}

void translate_CONCATENATION(TfliteNode& n) {
  const auto& options = n.options(n.op().builtin_options_as_ConcatenationOptions());
  const int axis = n.axis(options.axis(), n.rank(0));
  if (n.all_known()) {
    std::vector<KnownTensor> parts;
    for (int i = 0; i < n.input_count(); ++i) parts.push_back(n.known(i, "part"));
    return n.set_known(0, concat(parts, axis));
  }
  Dims y = n.dims(0);
  for (int i = 1; i < n.input_count(); ++i) {
    if (n.rank(i) != n.rank(0)) n.fail("its inputs have different numbers of axes");
    y[static_cast<size_t>(axis)] += n.dims(i)[static_cast<size_t>(axis)];
  }
  const bool whole = axis == 0 || y[0] != 1;
  const std::string value =
      n.activate(concatenate(n, n.dims(0), axis, whole), options.activation());
  n.set(0, value, y, whole ? y : example(y));
}

// Tensors of one shape, along a new axis.
void translate_PACK(TfliteNode& n) {
  const auto& options = n.options(n.op().builtin_options_as_PackOptions());
  Dims one = n.dims(0);
  const int axis = n.axis(options.axis(), n.rank(0) + 1);
  one.insert(one.begin() + axis, 1);
  Dims y = one;
  y[static_cast<size_t>(axis)] = n.input_count();
  for (int i = 0; i < n.input_count(); ++i)
    if (n.dims(i) != n.dims(0)) n.fail("its inputs have different shapes");
  if (n.all_known()) {
    std::vector<KnownTensor> parts;
    for (int i = 0; i < n.input_count(); ++i) parts.push_back(reshape(n.known(i, "part"), one));
    return n.set_known(0, concat(parts, axis));
  }
  std::vector<std::string> parts;
  for (int i = 0; i < n.input_count(); ++i)
    parts.push_back(n.is_known(i) ? n.reshape(n.repeated(i, n.dims(i), true), one)
                                  : n.value(i, one));
  n.set(0, n.emit("Concat", parts, {{"axis", int64_t{axis + 1}}}), y, y);
}

void translate_TILE(TfliteNode& n) {
  const Dims counts = n.ints(1, "multiples");
  if (counts.size() != n.dims(0).size())
    n.fail("{} multiples of {} axes", counts.size(), n.rank(0));
  if (n.is_known(0)) return n.set_known(0, tile(n.known(0, "input"), counts));
  Dims y = n.dims(0), repeats = counts;
  for (size_t i = 0; i < y.size(); ++i)
    if (counts[i] < 1 || counts[i] > kMaxComputedElements ||
        __builtin_mul_overflow(y[i], counts[i], &y[i]))
      n.fail("multiples {}", dims_text(counts));
  if (!counts.empty() && counts[0] == 1 && n.dims(0)[0] == 1)
    return n.set(0, n.emit("Tile", {n.value(0), n.ints(repeats)}), y);
  repeats.insert(repeats.begin(), 1);
  n.set(0, n.emit("Tile", {n.value(0, n.dims(0)), n.ints(repeats)}), y, y);
}

void translate_BROADCAST_TO(TfliteNode& n) {
  const Dims y = n.ints(1, "shape");
  if (n.is_known(0)) return n.set_known(0, broadcast(n.known(0, "input"), y));
  if (broadcast_dims(n.dims(0), y) != y)
    n.fail("{} does not broadcast to {}", dims_text(n.dims(0)), dims_text(y));
  Dims target = y;
  target.insert(target.begin(), 1);  // the batch stays as it is
  n.set(0, n.emit("Expand", {n.operand(0, y, true), n.ints(target)}), y, y);
}

}  // namespace attune
