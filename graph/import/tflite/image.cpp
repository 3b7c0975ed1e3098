#include <algorithm>

#include "graph/import/tflite/tflite_node.h"

namespace attune {
namespace {

constexpr int64_t kLargestSide = 1 << 24;  // so that products of two fit well

// The sides of a window over an image [1,H,W,C], by axis.
struct ImageWindow {
  int64_t size[2], kernel[2], stride[2], dilation[2] = {1, 1};
  int64_t output[2] = {}, before[2] = {}, after[2] = {};

  Dims of(const int64_t (&side)[2]) const { return {side[0], side[1]}; }
  Dims pads() const { return {before[0], before[1], after[0], after[1]}; }
};

ImageWindow window_of(TfliteNode& n, const Dims& image, int64_t kernel_h, int64_t kernel_w,
                      int64_t stride_h, int64_t stride_w, int64_t dilation_h = 1,
                      int64_t dilation_w = 1) {
  if (image.size() != 4) n.fail("its input has shape {}", dims_text(image));
  const ImageWindow w = {
      {image[1], image[2]}, {kernel_h, kernel_w}, {stride_h, stride_w}, {dilation_h, dilation_w}};
  for (const auto* sides : {&w.size, &w.kernel, &w.stride, &w.dilation})
    for (const int64_t side : *sides)
      if (side < 1 || side > kLargestSide) n.fail("a size, stride or dilation of {}", side);
  return w;
}

// As much as makes ceil(size / stride) outputs, the odd element behind.
void pad(TfliteNode& n, tflite::Padding padding, ImageWindow* w) {
  for (int i = 0; i < 2; ++i) {
    const int64_t extent = (w->kernel[i] - 1) * w->dilation[i] + 1;
    if (padding == tflite::Padding::SAME) {
      w->output[i] = (w->size[i] + w->stride[i] - 1) / w->stride[i];
      const int64_t total =
          std::max<int64_t>((w->output[i] - 1) * w->stride[i] + extent - w->size[i], 0);
      w->before[i] = total / 2;
      w->after[i] = total - total / 2;
    } else {
      if (extent > w->size[i])
        n.fail("a window of {} does not fit into {} elements", extent, w->size[i]);
      w->output[i] = (w->size[i] - extent) / w->stride[i] + 1;
    }
  }
}

void check_weight(const TfliteNode& n, int i) {
  n.known(i, "weight");
  if (n.rank(i) != 4) n.fail("a weight of shape {}", dims_text(n.dims(i)));
}

std::vector<std::string> with_bias(const TfliteNode& n, std::vector<std::string> inputs, int bias,
                                   int64_t outputs) {
  if (!n.has(bias)) return inputs;
  if (n.dims(bias) != Dims{outputs})
    n.fail("a bias of shape {} for {} outputs", dims_text(n.dims(bias)), outputs);
  inputs.push_back(n.weight(bias, {0}));
  return inputs;
}

template <class Options>
void convolve(TfliteNode& n, const Options& options, const Perm& perm, int64_t outputs,
              int64_t groups) {
  const Dims& weight = n.dims(1);
  ImageWindow w = window_of(n, n.dims(0), weight[1], weight[2], options.stride_h(),
                            options.stride_w(), options.dilation_h(), options.dilation_w());
  pad(n, options.padding(), &w);
  const std::string y = n.emit("Conv", with_bias(n, {n.image(0), n.weight(1, perm)}, 2, outputs),
                               {{"kernel_shape", w.of(w.kernel)},
                                {"strides", w.of(w.stride)},
                                {"dilations", w.of(w.dilation)},
                                {"pads", w.pads()},
                                {"group", groups}});
  n.set_image(0, n.activate(y, options.activation()), {1, w.output[0], w.output[1], outputs});
}

void pool(TfliteNode& n, const char* onnx) {
  const auto& options = n.options(n.op().builtin_options_as_Pool2DOptions());
  ImageWindow w = window_of(n, n.dims(0), options.filter_h(), options.filter_w(),
                            options.stride_h(), options.stride_w());
  pad(n, options.padding(), &w);
  const std::string y =
      n.emit(onnx, {n.image(0)},
             {{"kernel_shape", w.of(w.kernel)}, {"strides", w.of(w.stride)}, {"pads", w.pads()}});
  n.set_image(0, n.activate(y, options.activation()), {1, w.output[0], w.output[1], n.dims(0)[3]});
}

}  // namespace

// The weight is [O,KH,KW,I / groups].
void translate_CONV_2D(TfliteNode& n) {
  const auto& options = n.options(n.op().builtin_options_as_Conv2DOptions());
  check_weight(n, 1);
  const int64_t channels = n.rank(0) == 4 ? n.dims(0)[3] : 0, inner = n.dims(1)[3];
  if (inner < 1 || channels % inner != 0)
    n.fail("a weight of shape {} for an input of shape {}", dims_text(n.dims(1)),
           dims_text(n.dims(0)));
  convolve(n, options, {0, 3, 1, 2}, n.dims(1)[0], channels / inner);
}

// The weight is [1,KH,KW,C * multiplier].
void translate_DEPTHWISE_CONV_2D(TfliteNode& n) {
  const auto& options = n.options(n.op().builtin_options_as_DepthwiseConv2DOptions());
  check_weight(n, 1);
  const int64_t channels = n.rank(0) == 4 ? n.dims(0)[3] : 0, outputs = n.dims(1)[3];
  if (n.dims(1)[0] != 1 || channels < 1 || outputs % channels != 0)
    n.fail("a weight of shape {} for an input of shape {}", dims_text(n.dims(1)),
           dims_text(n.dims(0)));
  convolve(n, options, {3, 0, 1, 2}, outputs, channels);
}

void translate_MAX_POOL_2D(TfliteNode& n) { pool(n, "MaxPool"); }
void translate_AVERAGE_POOL_2D(TfliteNode& n) { pool(n, "AveragePool"); }

// Inputs are the output's shape, the weight [O,KH,KW,I], and the image.
void translate_TRANSPOSE_CONV(TfliteNode& n) {
  const auto& options = n.options(n.op().builtin_options_as_TransposeConvOptions());
  check_weight(n, 1);
  const Dims shape = n.ints(0, "output shape");
  const Dims& weight = n.dims(1);
  if (shape.size() != 4 || n.rank(2) != 4 || weight[3] != n.dims(2)[3] || weight[0] != shape[3])
    n.fail("a weight of shape {} from an input of shape {} to {}", dims_text(weight),
           dims_text(n.dims(2)), dims_text(shape));
  // The convolution that this is the gradient of.
  ImageWindow w = window_of(n, shape, weight[1], weight[2], options.stride_h(), options.stride_w());
  pad(n, options.padding(), &w);
  Dims further;
  for (int i = 0; i < 2; ++i) {
    if (w.output[i] != n.dims(2)[i + 1])
      n.fail("an input of shape {} does not give {}", dims_text(n.dims(2)), dims_text(shape));
    further.push_back(w.size[i] -
                      ((w.output[i] - 1) * w.stride[i] + w.kernel[i] - w.before[i] - w.after[i]));
  }
  const std::string y =
      n.emit("ConvTranspose", with_bias(n, {n.image(2), n.weight(1, {3, 0, 1, 2})}, 3, weight[0]),
             {{"kernel_shape", w.of(w.kernel)},
              {"strides", w.of(w.stride)},
              {"pads", w.pads()},
              {"output_padding", further}});
  n.set_image(0, n.activate(y, options.activation()), {1, shape[1], shape[2], shape[3]});
}

}  // namespace attune
