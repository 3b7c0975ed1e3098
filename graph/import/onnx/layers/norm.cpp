#include "graph/import/onnx/elementwise/expression.h"

namespace attune {
namespace {

// Input i, a number for each channel of input 0.
Expression of_channels(const OnnxNode& n, int i) {
  const Dims x = n.dims(0);
  if (n.dims(i) != Dims{x[1]})
    n.fail("its input {} has shape {}, not [{}]", i, dims_text(n.dims(i)), x[1]);
  Dims per_channel(x.size(), 1);
  per_channel[1] = x[1];
  return {&n, n.reshape(n.operand(i, Use::weight), per_channel, "per_channel")};
}

void set_normal(const OnnxNode& n, const Expression& centred, const Expression& variance) {
  const Expression deviation = apply(Op::sqrt, variance + n.real("epsilon", 1e-5));
  n.set(0, (centred / deviation * of_channels(n, 1) + of_channels(n, 2)).id);
}

// Whether nodes make an input of what is trained, or of the model's inputs.
bool is_computed(const OnnxNode& n, int i) {
  return !n.is_known(i) || (!n.known(i, "statistic").view && n.trains(i, Use::operand));
}

// The same by statistics that the model computes.
void normalise_by_computed(const OnnxNode& n) {
  set_normal(n, Expression{&n, n.value(0)} - of_channels(n, 3), of_channels(n, 4));
}

// By the statistics of input 0 itself: a weight that is standardised.
void normalise_by_own(const OnnxNode& n) {
  const ReduceAttrs mean{((1 << n.rank(0)) - 1) & ~2, true};
  const Expression x{&n, n.value(0)};
  const Expression centred = x - apply(Op::reduce, x, mean);
  set_normal(n, centred, apply(Op::reduce, centred * centred, mean));
}

}  // namespace

// y = (x - mean) / sqrt(var + epsilon) * gamma + beta, with the statistics that are in the file.
void import_BatchNormalization(OnnxNode& n) {
  // Before opset 14, more than one output is what says that it trains.
  const bool trains = n.opset() < 14 ? n.output_count() > 1 : n.integer("training_mode", 0) != 0;
  if (trains && !n.is_known(0))
    n.fail(
        "it is in training mode, so its output would depend on the other examples of the batch; "
        "call model.eval() and export again");
  n.refuse_outputs(1);
  if (n.integer("spatial", 1) != 1) n.fail("spatial=0 is not supported");
  const Dims dims = n.dims(0);
  if (dims.size() < 2) n.fail("its input has shape {}", dims_text(dims));
  if (trains) return normalise_by_own(n);
  if (is_computed(n, 3) || is_computed(n, 4)) return normalise_by_computed(n);
  const int64_t channels = dims[1];
  const BatchNormAttrs attrs{n.real("epsilon", 1e-5)};
  const ValueId gamma = n.vector_weight(1, channels, "scale");
  const ValueId beta = n.vector_weight(2, channels, "bias");
  const double momentum = n.real("momentum", 0.9);
  const ValueId mean = n.statistic(3, channels, "mean", momentum);
  const ValueId var = n.statistic(4, channels, "variance", momentum);
  const ValueId x = n.to_channels_last(n.value(0));
  n.set_channels_last(0, n.emit(Op::batch_norm, attrs, {x, gamma, beta, mean, var}));
}

// y = x / (bias + alpha * mean of squares over `size` neighbouring channels)^beta
void import_LRN(OnnxNode& n) {
  const Dims dims = n.dims(0);
  const int64_t size = n.integer("size", 1);
  if (dims.size() < 2 || size < 1 || size > 1 << 20)
    n.fail("size {} of an input of shape {}", size, dims_text(dims));
  Pool2dAttrs channels;
  channels.kernel_h = static_cast<int32_t>(size);
  channels.pad_top = static_cast<int32_t>((size - 1) / 2);
  channels.pad_bottom = static_cast<int32_t>(size / 2);
  channels.count_padding = true;
  const ScaleAttrs attrs{n.real("alpha", 1e-4), n.real("bias", 1)};
  const ValueId x = n.value(0);
  const ValueId squares = n.emit(Op::mul, NoAttrs{}, {x, x}, "squares");
  const int64_t places = count_elements(Dims(dims.begin() + 2, dims.end()));
  const ValueId rows = n.reshape(squares, {dims[0], dims[1], 1, places}, "rows");
  const ValueId mean = n.emit(Op::avg_pool2d, channels, {rows}, "mean");
  const ValueId base = n.emit(Op::scale, attrs, {n.reshape(mean, dims, "mean")}, "base");
  const ValueId power = n.number(n.real("beta", 0.75));
  n.set(0, n.emit(Op::div, NoAttrs{}, {x, n.emit(Op::pow, NoAttrs{}, {base, power}, "size")}));
}

}  // namespace attune
