#include "graph/import/onnx/onnx_node.h"

namespace attune {

// y = (x - mean) / sqrt(var + epsilon) * gamma + beta, with the statistics that are in the file.
void import_BatchNormalization(OnnxNode& n) {
  // Before opset 14, more than one output is what says that it trains.
  if (n.opset() < 14 ? n.output_count() > 1 : n.integer("training_mode", 0) != 0)
    n.fail(
        "it is in training mode, so its output would depend on the other examples of the batch; "
        "call model.eval() and export again");
  n.refuse_outputs(1);
  if (n.integer("spatial", 1) != 1) n.fail("spatial=0 is not supported");
  const Dims dims = n.dims(0);
  if (dims.size() < 2) n.fail("its input has shape {}", dims_text(dims));
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

// y = (x - mean) / sqrt(var + epsilon) * gamma + beta, over the axes from `axis` on.
void import_LayerNormalization(OnnxNode& n) {
  const int rank = n.rank(0);
  if (rank < 1 || rank > kMaxRank) n.fail("its input has shape {}", dims_text(n.dims(0)));
  const int axis = normal_axis(n.integer("axis", -1), rank);
  const ReduceAttrs mean{((1 << rank) - 1) & ~((1 << axis) - 1), true};
  const auto trained = [&](int i, const char* what) {
    return n.is_known(i) ? n.weight(i, n.dims(i), identity_perm(n.rank(i)), what) : n.value(i);
  };
  const ValueId x = n.value(0);
  const ValueId middle = n.emit(Op::reduce, mean, {x}, "mean");
  const ValueId centred = n.emit(Op::sub, NoAttrs{}, {x, middle}, "centred");
  const ValueId squares = n.emit(Op::mul, NoAttrs{}, {centred, centred}, "squares");
  const ValueId variance = n.emit(Op::reduce, mean, {squares}, "variance");
  const ScaleAttrs epsilon{.offset = n.real("epsilon", 1e-5)};
  const ValueId shifted = n.emit(Op::scale, epsilon, {variance}, "epsilon");
  const ValueId deviation = n.emit(Op::sqrt, NoAttrs{}, {shifted}, "deviation");
  const ValueId normal = n.emit(Op::div, NoAttrs{}, {centred, deviation}, "normal");
  ValueId y =
      n.emit(Op::mul, NoAttrs{}, {normal, trained(1, "scale")}, n.has(2) ? "scaled" : nullptr);
  if (n.has(2)) y = n.emit(Op::add, NoAttrs{}, {y, trained(2, "bias")});
  n.set(0, y);
  if (n.wants(1)) n.set(1, middle);
  if (n.wants(2)) n.set(2, n.emit(Op::div, NoAttrs{}, {deviation, shifted}, "inverse"));
}

}  // namespace attune
