// Norms over the places of an image, by example: of one channel, or of a group of them.
#include "graph/import/onnx/layers/norm.h"

namespace attune {
namespace {

int32_t spatial_axes(int rank) { return ((1 << rank) - 1) & ~3; }

}  // namespace

// y = (x - mean) / sqrt(var + epsilon) * scale + bias, for each channel of each example
void import_InstanceNormalization(OnnxNode& n) {
  const Dims dims = n.dims(0);
  const int rank = static_cast<int>(dims.size());
  if (rank < 3 || rank > kMaxRank) n.fail("its input has shape {}", dims_text(dims));
  for (int i : {1, 2})
    if (n.dims(i) != Dims{dims[1]})
      n.fail("its input {} has shape {}, not [{}]", i, dims_text(n.dims(i)), dims[1]);
  const auto made = normalise(n, n.value(0), spatial_axes(rank), n.real("epsilon", 1e-5));
  Dims view(dims.size() - 1, 1);
  view[0] = dims[1];
  n.set(0, scale_and_shift(n, made.y, view));
}

// The same for groups of channels. Scale and bias have an element a channel, before opset 21 one a
// group.
void import_GroupNormalization(OnnxNode& n) {
  const Dims dims = n.dims(0);
  if (dims.size() < 2 || dims.size() > kMaxRank) n.fail("its input has shape {}", dims_text(dims));
  const int64_t groups = n.integer("num_groups", 0), channels = dims[1];
  if (groups < 1 || channels % groups != 0) n.fail("{} channels in {} groups", channels, groups);
  const bool by_channel = n.dims(1) == Dims{channels};
  for (int i : {1, 2})
    if (n.dims(i) != Dims{by_channel ? channels : groups})
      n.fail("its input {} has shape {} for {} channels in {} groups", i, dims_text(n.dims(i)),
             channels, groups);
  const int64_t places = count_elements(Dims(dims.begin() + 2, dims.end()));
  const ValueId x = n.to_channels_last(n.value(0));
  const Dims image = to_dims(n.shape(x));
  const ValueId grouped = n.reshape(x, {dims[0], places, groups, channels / groups}, "groups");
  ValueId y = normalise(n, grouped, 1 << 1 | 1 << 3, n.real("epsilon", 1e-5)).y;
  if (by_channel) {
    y = scale_and_shift(n, n.reshape(y, image, "channels"), Dims{channels});
  } else {
    y = n.reshape(scale_and_shift(n, y, Dims{groups, 1}, "scaled_groups"), image, nullptr);
  }
  n.set_channels_last(0, y);
}

// y = (x - mean) / (deviation + 1e-9)
void import_MeanVarianceNormalization(OnnxNode& n) {
  const int rank = n.rank(0);
  if (rank > kMaxRank) n.fail("its input has shape {}", dims_text(n.dims(0)));
  int32_t axes = 0;
  for (const int64_t axis : n.ints("axes", {0, 2, 3})) axes |= 1 << normal_axis(axis, rank);
  const ReduceAttrs mean{axes, true};
  const ValueId x = n.value(0);
  const ValueId middle = n.emit(Op::reduce, mean, {x}, "mean");
  const ValueId centred = n.emit(Op::sub, NoAttrs{}, {x, middle}, "centred");
  const ValueId squares = n.emit(Op::mul, NoAttrs{}, {centred, centred}, "squares");
  const ValueId variance = n.emit(Op::reduce, mean, {squares}, "variance");
  const ValueId deviation = n.emit(Op::sqrt, NoAttrs{}, {variance}, "deviation");
  const ValueId divisor = n.emit(Op::scale, ScaleAttrs{.offset = 1e-9}, {deviation}, "divisor");
  n.set(0, n.emit(Op::div, NoAttrs{}, {centred, divisor}));
}

}  // namespace attune
