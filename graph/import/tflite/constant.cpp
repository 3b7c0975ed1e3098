#include "graph/import/common/known_math.h"
#include "graph/import/tflite/tflite_node.h"

namespace attune {
namespace {

// What a tensor stands for stays.
void translate_same(TfliteNode& n) { n.alias(0, 0, n.dims(0)); }

}  // namespace

void translate_QUANTIZE(TfliteNode& n) { translate_same(n); }
void translate_DEQUANTIZE(TfliteNode& n) { translate_same(n); }
void translate_FAKE_QUANT(TfliteNode& n) { translate_same(n); }

void translate_CAST(TfliteNode& n) {
  const ElementType type = n.output_type(0);
  if (n.is_known(0)) return n.set_known(0, cast(n.known(0, "input"), type));
  if (type == n.input(0).type) return translate_same(n);
  n.set(0, n.emit("Cast", {n.value(0)}, {{"to", static_cast<int64_t>(type)}}), n.dims(0));
}

void translate_SHAPE(TfliteNode& n) {
  n.set_known(0, cast(vector_of(n.dims(0)), n.output_type(0)));
}

void translate_RANK(TfliteNode& n) {
  n.set_known(0, cast(reshape(vector_of({n.rank(0)}), {}), n.output_type(0)));
}

void translate_FILL(TfliteNode& n) {
  if (n.has(1) && n.rank(1) != 0) n.fail("a value of shape {}", dims_text(n.dims(1)));
  n.set_known(0, broadcast(n.known(1, "value"), n.ints(0, "shape")));
}

void translate_ZEROS_LIKE(TfliteNode& n) {
  KnownTensor zero;
  zero.type = n.output_type(0);
  zero.data = zero.real() ? Data::of_reals({0}) : Data::of_ints({0});
  n.set_known(0, broadcast(zero, n.dims(0)));
}

void translate_RANGE(TfliteNode& n) {
  n.set_known(0, range(n.known(0, "start"), n.known(1, "limit"), n.known(2, "delta")));
}

}  // namespace attune
