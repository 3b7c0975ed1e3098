#include "graph/import/onnx/onnx_node.h"

namespace attune {

// y = (x - mean) / sqrt(var + epsilon) * gamma + beta. Statistics stay as they are in the file,
// also where the model was exported for training.
void import_BatchNormalization(OnnxNode& n) {
  n.refuse_outputs(1);
  if (n.integer("spatial", 1) != 1) n.fail("spatial=0 is not supported");
  const Dims dims = n.dims(0);
  if (dims.size() < 2) n.fail("its input has shape {}", dims_text(dims));
  const int64_t channels = dims[1];
  const BatchNormAttrs attrs{n.real("epsilon", 1e-5)};
  const ValueId gamma = n.vector_weight(1, channels, "scale");
  const ValueId beta = n.vector_weight(2, channels, "bias");
  const ValueId mean = n.statistic(3, channels, "mean");
  const ValueId var = n.statistic(4, channels, "variance");
  const ValueId x = n.to_channels_last(n.value(0));
  n.set_channels_last(0, n.emit(Op::batch_norm, attrs, {x, gamma, beta, mean, var}));
}

}  // namespace attune
