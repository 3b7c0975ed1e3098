#include "graph/import/onnx/window.h"

namespace attune {
namespace {

Pool2dAttrs pool_attrs(const Window& window) {
  Pool2dAttrs attrs;
  set_window(&attrs, window);
  attrs.kernel_h = static_cast<int32_t>(window.kernel[0]);
  attrs.kernel_w = static_cast<int32_t>(window.kernel[1]);
  return attrs;
}

}  // namespace

void import_MaxPool(OnnxNode& n) {
  n.refuse_outputs(1);
  // storage_order concerns the indices alone.
  const Window window = read_window(n, n.ints("kernel_shape"), n.integer("ceil_mode", 0) != 0);
  const ValueId x = image_input(n, n.value(0));
  set_image_output(n, n.emit(Op::max_pool2d, pool_attrs(window), {x}));
}

void import_AveragePool(OnnxNode& n) {
  const Dims kernel = n.ints("kernel_shape");
  const bool ceil_mode = n.integer("ceil_mode", 0) != 0;
  Window window = read_window(n, kernel, ceil_mode);
  bool count_padding = n.integer("count_include_pad", 0) != 0;
  if (ceil_mode) {
    // Elements that only rounding up adds are never counted, while the padding may be.
    const Window floor = read_window(n, kernel, false);
    const bool extended = window.after[0] > floor.after[0] || window.after[1] > floor.after[1];
    if (count_padding && !floor.padded())
      count_padding = false;
    else if (count_padding && extended)
      n.fail("ceil_mode with count_include_pad, where both add elements");
  }
  ValueId x = kNone;
  if (n.padding(0) != nullptr && !window.padded()) {
    // An average over zeros that a Pad node added counts them.
    x = absorb_padding(n, &window);
    if (window.padded()) count_padding = true;
  } else {
    x = n.value(0);
  }
  Pool2dAttrs attrs = pool_attrs(window);
  attrs.count_padding = count_padding;
  set_image_output(n, n.emit(Op::avg_pool2d, attrs, {image_input(n, x)}));
}

void import_GlobalMaxPool(OnnxNode& n) {
  const Dims dims = n.dims(0);
  if (dims.size() != 3 && dims.size() != 4) n.fail("its input has shape {}", dims_text(dims));
  Pool2dAttrs attrs;
  attrs.kernel_h = static_cast<int32_t>(dims.size() == 4 ? dims[2] : 1);
  attrs.kernel_w = static_cast<int32_t>(dims.back());
  const ValueId x = image_input(n, n.value(0));
  set_image_output(n, n.emit(Op::max_pool2d, attrs, {x}));
}

}  // namespace attune
