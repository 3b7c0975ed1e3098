// Quantised models, in floats: weights are what their integers stand for, and activations are cut
// to the range of their integers, but not rounded.
#include "graph/import/common/known_math.h"
#include "graph/import/onnx/elementwise/expression.h"

namespace attune {
namespace {

struct Range {
  double least, most;
};

Range range_of(ElementType type) {
  switch (type) {
    case ElementType::u8:
      return {0, 255};
    case ElementType::i8:
      return {-128, 127};
    case ElementType::u16:
      return {0, 65535};
    case ElementType::i16:
      return {-32768, 32767};
    default:
      throw_error("integers of 8 or 16 bits are supported");
  }
}

// Of a scale or zero point: one number, or one for each place along an axis of x.
Expression spread(const OnnxNode& n, int i) {
  const Expression x = input(n, i);
  const Dims own = n.dims(i);
  if (count_elements(own) == 1) return x.with(n.reshape(x.id, {}, "number"));
  if (own.size() != 1) n.fail("a computed tensor is quantised in blocks");
  const int rank = n.rank(0), axis = normal_axis(n.integer("axis", 1), rank);
  Dims dims(rank, 1);
  dims[axis] = own[0];
  return x.with(n.reshape(x.id, dims, "spread"));
}

Expression quantized(const Expression& x, const Expression& scale, const Expression& zero_point,
                     const Range& range) {
  const Expression steps = apply(Op::round, x / scale) + zero_point;
  return apply(Op::clamp, steps, ClampAttrs{.min = range.least, .max = range.most});
}

Expression zero_point(const OnnxNode& n) {
  return n.has(2) ? spread(n, 2) : Expression{&n, n.number(0)};
}

}  // namespace

void import_QuantizeLinear(OnnxNode& n) {
  auto type = n.has(2) ? n.type(2) : ElementType::u8;
  if (const int64_t asked = n.integer("output_dtype", 0); asked != 0) {
    const auto known = element_type(static_cast<int32_t>(asked));
    if (!known) n.fail("to element type {}", asked);
    type = *known;
  }
  const Range range = range_of(type);
  const Expression x = input(n, 0), scale = spread(n, 1), zero = zero_point(n);
  n.set(0, quantized(x, scale, zero, range).id, type);
  if (n.is_known(0)) return n.set_unquantized_input(0, 0);
  const bool numbers =
      n.is_known(1) && n.known(1, "scale").elements() == 1 && (!n.has(2) || n.is_known(2));
  if (numbers) {
    const double step = n.known_scalar(1, "scale");
    const double origin = n.has(2) ? n.known_scalar(2, "zero point") : 0;
    const ClampAttrs cut{.min = (range.least - origin) * step, .max = (range.most - origin) * step};
    return n.set_unquantized(0, apply(Op::clamp, x, cut).id);
  }
  const Expression least = scale * (range.least - zero), most = scale * (range.most - zero);
  n.set_unquantized(0, apply(Op::minimum, apply(Op::maximum, x, least), most).id);
}

// Integers that the file holds are weights, which are trained as floats.
void import_DequantizeLinear(OnnxNode& n) {
  if (n.take_unquantized(0, 0)) return;
  const bool same = n.is_known(0) && n.is_known(1) && (!n.has(2) || n.is_known(2));
  if (same) {
    const KnownTensor* zero = n.has(2) ? &n.known(2, "zero point") : nullptr;
    return n.set_model_tensor(dequantize(n.known(0, "input"), n.known(1, "scale"), zero,
                                         n.integer("axis", 1), n.integer("block_size", 0)));
  }
  n.set(0, ((input(n, 0) - zero_point(n)) * spread(n, 1)).id, n.type(1));
}

// By the smallest and largest element, and 0.
void import_DynamicQuantizeLinear(OnnxNode& n) {
  const Range range = range_of(ElementType::u8);
  const Expression x = input(n, 0);
  const Dims all = {count_elements(n.dims(0))};
  const Expression flat = x.with(n.reshape(x.id, all, "flat"));
  const auto largest = [&](const Expression& of) {
    const Expression most = apply(Op::reduce_max, of);
    return apply(Op::maximum, x.with(n.reshape(most.id, {}, "number")), number_like(x, 0));
  };
  const Expression most = largest(flat), least = -largest(-flat);
  const Expression width = (most - least) * (1 / range.most);
  // All zeros have any scale.
  const Expression scale = where(equal(width, 0), 1, width);
  const ClampAttrs bounds{.min = range.least, .max = range.most};
  const Expression zero = apply(Op::round, apply(Op::clamp, -least / scale, bounds));
  n.set(0, quantized(x, scale, zero, range).id, ElementType::u8);
  n.set_unquantized(0, x.id);
  n.set(1, scale.id);
  n.set(2, zero.id, ElementType::u8);
}

}  // namespace attune
