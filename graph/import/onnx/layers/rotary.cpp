#include "graph/import/common/known_math.h"
#include "graph/import/onnx/onnx_node.h"

namespace attune {
namespace {

// Cosines or sines of the positions, as [B,S,half]: a table, which is never trained, by position;
// or these themselves.
ValueId angles(const OnnxNode& n, int input, const char* name) {
  if (!n.has(3))
    return n.is_known(input) ? n.constant(n.dims(input), n.known(input, name).data->reals(), name)
                             : n.value(input);
  const Dims table = n.dims(input);
  if (table.size() != 2) n.fail("its {} has shape {}", name, dims_text(table));
  if (n.is_known(3)) {
    const KnownTensor taken = gather(n.known(input, name), n.known(3, "positions"), 0);
    return n.constant(taken.dims, taken.data->reals(), name);
  }
  const ValueId rows = n.constant(table, n.known(input, name).data->reals(), name);
  return n.emit(Op::take, NoAttrs{}, {rows, n.places(3)}, name);
}

}  // namespace

// Pairs of x's first elements are turned by angles that follow from the place: (a, b) becomes
// (a cos - b sin, a sin + b cos). The pairs lie side by side (interleaved), or half of them apart.
void import_RotaryEmbedding(OnnxNode& n) {
  const Dims dims = n.dims(0);
  const bool apart = dims.size() == 4;  // [B,H,S,D]; else [B,S,H*D]
  const int64_t heads = apart ? dims[1] : n.integer("num_heads", 0);
  if ((!apart && dims.size() != 3) || heads < 1 || (!apart && dims[2] % heads != 0))
    n.fail("an input of shape {} in {} heads", dims_text(dims), heads);
  const int64_t steps = dims[apart ? 2 : 1], size = apart ? dims[3] : dims[2] / heads;
  int64_t turned = n.integer("rotary_embedding_dim", 0);
  if (turned == 0) turned = size;
  if (turned < 2 || turned > size || turned % 2 != 0)
    n.fail("rotary_embedding_dim {} of {}", turned, size);
  const int64_t half = turned / 2;

  ValueId x = n.value(0);
  if (!apart) x = n.reshape(x, {dims[0], steps, heads, size}, "heads");
  const Dims whole = to_dims(n.shape(x));
  const auto angle = [&](int input, const char* name) {
    const ValueId given = angles(n, input, name);
    const Dims at = to_dims(n.shape(given));
    if (at.size() != 3 || (at[0] != 1 && at[0] != dims[0]) || at[1] != steps || at[2] != half)
      n.fail("{} of shape {} for {} places of {} pairs", name, dims_text(at), steps, half);
    return n.reshape(given, apart ? Dims{at[0], 1, steps, half} : Dims{at[0], steps, 1, half},
                     name);
  };
  const ValueId cos = angle(1, "cosines"), sin = angle(2, "sines");

  const bool pairs = n.integer("interleaved", 0) != 0;
  Dims part = whole;
  part.back() = half;
  const ValueId first = n.slice(x, 3, 0, turned, "turned");
  Dims paired = part;
  paired.push_back(2);
  const ValueId seen = pairs ? n.reshape(first, paired, "pairs") : first;
  const auto take = [&](int64_t i, const char* name) {
    return pairs ? n.reshape(n.slice(seen, 4, i, 1, name), part, name)
                 : n.slice(seen, 3, i * half, half, name);
  };
  const ValueId a = take(0, "a"), b = take(1, "b");
  const auto product = [&](ValueId p, ValueId q) {
    return n.emit(Op::mul, NoAttrs{}, {p, q}, "product");
  };
  ValueId real = n.emit(Op::sub, NoAttrs{}, {product(a, cos), product(b, sin)}, "real");
  ValueId imaginary = n.emit(Op::add, NoAttrs{}, {product(a, sin), product(b, cos)}, "imaginary");
  if (pairs) {
    part.push_back(1);
    real = n.reshape(real, part, "real");
    imaginary = n.reshape(imaginary, part, "imaginary");
  }
  const bool ends = apart && !pairs && turned == size;
  ValueId y =
      n.emit(Op::concat, AxisAttrs{pairs ? 4 : 3}, {real, imaginary}, ends ? nullptr : "both");
  part = whole;
  part.back() = turned;
  y = n.reshape(y, part, apart && turned == size ? nullptr : "both");
  if (turned < size) {
    const ValueId rest = n.slice(x, 3, turned, size - turned, "rest");
    y = n.emit(Op::concat, AxisAttrs{3}, {y, rest}, apart ? nullptr : "whole");
  }
  n.set(0, n.reshape(y, dims, nullptr));
}

}  // namespace attune
