#include "graph/import/onnx/window.h"

namespace attune {

void import_Conv(OnnxNode& n) {
  const Dims x_dims = n.dims(0), w_dims = n.dims(1);
  if (x_dims.size() != 3 && x_dims.size() != 4)
    n.fail("its input has shape {}; one or two spatial axes are supported", dims_text(x_dims));
  if (w_dims.size() != x_dims.size())
    n.fail("a weight of shape {} for an input of shape {}", dims_text(w_dims), dims_text(x_dims));
  Dims weight = w_dims;
  if (weight.size() == 3) weight.insert(weight.begin() + 2, 1);  // [O,I,K] as [O,I,1,K]
  const Dims kernel(w_dims.begin() + 2, w_dims.end());
  if (n.ints("kernel_shape", kernel) != kernel)
    n.fail("kernel_shape {} and a weight of shape {}", dims_text(n.ints("kernel_shape")),
           dims_text(w_dims));
  const int64_t groups = n.integer("group", 1), channels = x_dims[1], outputs = weight[0];
  if (groups < 1 || outputs < 1 || channels % groups != 0 || outputs % groups != 0)
    n.fail("{} input and {} output channels in {} groups", channels, outputs, groups);
  if (weight[1] != channels / groups)
    n.fail("a weight of shape {} for {} channels in {} groups", dims_text(w_dims), channels,
           groups);
  Window window = read_window(n, kernel, false);
  const ValueId inside = absorb_padding(n, &window);

  Conv2dAttrs attrs;
  set_window(&attrs, window);
  const bool depthwise = groups > 1 && groups == channels && outputs == channels;
  attrs.groups = depthwise ? 1 : static_cast<int32_t>(groups);  // One filter a channel says it.
  const ValueId w = depthwise ? n.weight(1, {outputs, weight[2], weight[3]}, {1, 2, 0}, "weight")
                              : n.weight(1, weight, {0, 2, 3, 1}, "weight");
  std::vector<ValueId> inputs = {image_input(n, inside), w};
  if (n.has(2)) inputs.push_back(n.vector_weight(2, outputs, "bias"));
  set_image_output(n, n.emit(depthwise ? Op::depthwise_conv2d : Op::conv2d, attrs, inputs));
}

}  // namespace attune
