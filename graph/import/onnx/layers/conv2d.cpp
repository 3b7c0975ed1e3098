#include "graph/import/onnx/layers/window.h"

namespace attune {

// One convolution of images. Of three spatial axes, the depth windows are in the channels.
void import_Conv(OnnxNode& n) {
  const Dims x_dims = n.dims(0), w_dims = n.dims(1);
  if (x_dims.size() < 3 || x_dims.size() > 5)
    n.fail("its input has shape {}; one to three spatial axes are supported", dims_text(x_dims));
  if (w_dims.size() != x_dims.size())
    n.fail("a weight of shape {} for an input of shape {}", dims_text(w_dims), dims_text(x_dims));
  const Dims kernel(w_dims.begin() + 2, w_dims.end());
  if (n.ints("kernel_shape", kernel) != kernel)
    n.fail("kernel_shape {} and a weight of shape {}", dims_text(n.ints("kernel_shape")),
           dims_text(w_dims));
  const int64_t groups = n.integer("group", 1), channels = x_dims[1], outputs = w_dims[0];
  if (groups < 1 || outputs < 1 || channels % groups != 0 || outputs % groups != 0)
    n.fail("{} input and {} output channels in {} groups", channels, outputs, groups);
  if (w_dims[1] != channels / groups)
    n.fail("a weight of shape {} for {} channels in {} groups", dims_text(w_dims), channels,
           groups);
  Window window = read_window(n, kernel, false);
  ValueId x = image_input(n, absorb_padding(n, &window));
  const int64_t examples = x_dims[0], depth = window.kernel[0];
  const bool deep = x_dims.size() == 5;
  if (deep) x = depth_windows(n, x, window);

  Conv2dAttrs attrs;
  set_window(&attrs, window);
  const bool depthwise = groups > 1 && groups == channels && outputs == channels && depth == 1;
  attrs.groups = depthwise ? 1 : static_cast<int32_t>(groups);  // One filter a channel says it.
  const Dims view = {outputs, w_dims[1] * depth, window.kernel[1], window.kernel[2]};
  const ValueId w = depthwise ? n.weight(1, {view[0], view[2], view[3]}, {1, 2, 0}, "weight")
                              : n.weight(1, view, {0, 2, 3, 1}, "weight");
  std::vector<ValueId> inputs = {x, w};
  if (n.has(2)) inputs.push_back(n.vector_weight(2, outputs, "bias"));
  ValueId y = n.emit(depthwise ? Op::depthwise_conv2d : Op::conv2d, attrs, inputs,
                     deep ? "images" : nullptr);
  if (deep) {
    const int64_t* size = window.output;
    y = n.reshape(y, {examples, size[0], size[1], size[2], outputs}, nullptr);
  }
  set_image_output(n, y);
}

}  // namespace attune
