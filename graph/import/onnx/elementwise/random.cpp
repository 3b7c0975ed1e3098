// Random numbers: what a node draws follows from its place in the model, and in training from the
// step (graph/training/random_step.h).
#include "graph/import/common/known_math.h"
#include "graph/import/onnx/elementwise/expression.h"

namespace attune {
namespace {

Expression random(const OnnxNode& n, const Dims& dims, bool normal) {
  const Shape shape = to_shape(dims);
  const RandomAttrs attrs{.seed = n.seed(), .normal = normal};
  return {&n, n.emit(Op::random, attrs, {n.first_step()}, "random", &shape)};
}

// Of a type that its attribute gives, else of its input's.
void set_random(OnnxNode& n, const Expression& y) {
  const auto type = element_type(static_cast<int32_t>(n.integer("dtype", 1)));
  if (!type) n.fail("of element type {}", n.integer("dtype", 1));
  n.set(0, y.id, n.has_attribute("dtype") || !n.has(0) ? *type : n.type(0));
}

void import_normal(OnnxNode& n, const Dims& dims) {
  set_random(n, n.real("scale", 1) * random(n, dims, true) + n.real("mean", 0));
}

void import_uniform(OnnxNode& n, const Dims& dims) {
  const double low = n.real("low", 0), high = n.real("high", 1);
  set_random(n, (high - low) * random(n, dims, false) + low);
}

}  // namespace

void import_RandomNormal(OnnxNode& n) { import_normal(n, n.ints("shape")); }
void import_RandomNormalLike(OnnxNode& n) { import_normal(n, n.dims(0)); }
void import_RandomUniform(OnnxNode& n) { import_uniform(n, n.ints("shape")); }
void import_RandomUniformLike(OnnxNode& n) { import_uniform(n, n.dims(0)); }

// 1 with the probability that its input says.
void import_Bernoulli(OnnxNode& n) { set_random(n, random(n, n.dims(0), false) < input(n, 0)); }

// Nothing in evaluation. In training, where that is asked for, it drops elements at its ratio and
// makes the others larger.
void import_Dropout(OnnxNode& n) {
  const bool trains = n.has(2) && n.known_scalar(2, "training mode") != 0;
  const double ratio = n.has(1) ? n.known_scalar(1, "ratio") : n.real("ratio", 0.5);
  if (!(ratio >= 0 && ratio <= 1)) n.fail("its ratio is {}", ratio);
  if (n.drops() && ratio > 0) {
    const Expression kept =
        apply(Op::less_or_equal, {&n, n.number(ratio)}, random(n, n.dims(0), false));
    n.set(0, (input(n, 0) * (kept * (ratio < 1 ? 1 / (1 - ratio) : 0))).id);
    return n.set(1, kept.id, ElementType::boolean);
  }
  if (trains && ratio > 0 && !n.may_drop())
    n.fail(
        "it is in training mode, so it drops elements at random; call model.eval() and export "
        "again, or train with its ratio: --dropout keep");
  n.alias(0, 0);
  const double one[] = {1};
  if (n.wants(1)) n.set(1, broadcast(computed(ElementType::boolean, {}, one, false), n.dims(0)));
}

}  // namespace attune
