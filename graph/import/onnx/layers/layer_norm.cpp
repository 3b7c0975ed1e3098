#include "graph/import/onnx/layers/norm.h"

namespace attune {
namespace {

// From `axis` on.
int32_t last_axes(const OnnxNode& n) {
  const int rank = n.rank(0);
  if (rank < 1 || rank > kMaxRank) n.fail("its input has shape {}", dims_text(n.dims(0)));
  const int axis = normal_axis(n.integer("axis", -1), rank);
  return ((1 << rank) - 1) & ~((1 << axis) - 1);
}

Normalised divide(const OnnxNode& n, ValueId x, ValueId mean, int32_t axes, double epsilon) {
  const ValueId squares = n.emit(Op::mul, NoAttrs{}, {x, x}, "squares");
  const ValueId variance = n.emit(Op::reduce, ReduceAttrs{axes, true}, {squares}, "variance");
  const ValueId shifted = n.emit(Op::scale, ScaleAttrs{.offset = epsilon}, {variance}, "epsilon");
  const ValueId deviation = n.emit(Op::sqrt, NoAttrs{}, {shifted}, "deviation");
  return {n.emit(Op::div, NoAttrs{}, {x, deviation}, "normal"), mean, shifted, deviation};
}

}  // namespace

Normalised normalise(const OnnxNode& n, ValueId x, int32_t axes, double epsilon) {
  const ValueId mean = n.emit(Op::reduce, ReduceAttrs{axes, true}, {x}, "mean");
  return divide(n, n.emit(Op::sub, NoAttrs{}, {x, mean}, "centred"), mean, axes, epsilon);
}

Normalised normalise_size(const OnnxNode& n, ValueId x, int32_t axes, double epsilon) {
  return divide(n, x, kNone, axes, epsilon);
}

ValueId scale_and_shift(const OnnxNode& n, ValueId x, const std::optional<Dims>& view,
                        const char* suffix) {
  const auto weight = [&](int i, const char* what) {
    const Dims dims = view ? *view : n.dims(i);
    return n.weight(i, dims, identity_perm(static_cast<int>(dims.size())), what);
  };
  x = n.emit(Op::mul, NoAttrs{}, {x, weight(1, "scale")}, n.has(2) ? "scaled" : suffix);
  return n.has(2) ? n.emit(Op::add, NoAttrs{}, {x, weight(2, "bias")}, suffix) : x;
}

// y = (x - mean) / sqrt(var + epsilon) * gamma + beta, over the axes from `axis` on.
void import_LayerNormalization(OnnxNode& n) {
  const Normalised made = normalise(n, n.value(0), last_axes(n), n.real("epsilon", 1e-5));
  n.set(0, scale_and_shift(n, made.y));
  if (n.wants(1)) n.set(1, made.mean);
  if (n.wants(2)) n.set(2, n.emit(Op::div, NoAttrs{}, {made.deviation, made.shifted}, "inverse"));
}

// y = x / sqrt(mean of squares + epsilon) * gamma
void import_RMSNormalization(OnnxNode& n) {
  n.set(0,
        scale_and_shift(n, normalise_size(n, n.value(0), last_axes(n), n.real("epsilon", 1e-5)).y));
}

}  // namespace attune
