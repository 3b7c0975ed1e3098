#include <algorithm>
#include <cstring>
#include <limits>

#include "attune/thread_pool.h"
#include "kernels/xnnpack/operators.h"
#include "kernels/xnnpack/versions.h"

namespace attune::xnnpack {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Pixels that a kernel covers along an axis.
int64_t reach(int64_t kernel, int64_t dilation) { return (kernel - 1) * dilation + 1; }

// Whether `out` is the size of the output of a convolution over `in` pixels.
bool sizes_agree(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation,
                 int64_t before, int64_t after) {
  if (in < 1 || out < 1 || kernel < 1 || stride < 1 || dilation < 1 || before < 0 || after < 0)
    return false;
  const int64_t span = in + before + after - reach(kernel, dilation);
  return span >= 0 && span / stride + 1 == out;
}

// Breaking one of these contracts aborts the process inside XNNPACK. `x`, `y` are the forward
// operator's input and output; w's kernel is at axes `kernel_axis`, + 1.
bool convolution_is_valid(const KernelArgs& args, const Shape& x, const Shape& y, int kernel_axis) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor w = args.input(1);
  return w.frozen && x.rank == 4 && y.rank == 4 && x[0] > 0 && x[0] == y[0] && x[3] > 0 &&
         y[3] > 0 && w.shape.elements() > 0 &&
         sizes_agree(x[1], y[1], w.shape[kernel_axis], a.stride_h, a.dilation_h, a.pad_top,
                     a.pad_bottom) &&
         sizes_agree(x[2], y[2], w.shape[kernel_axis + 1], a.stride_w, a.dilation_w, a.pad_left,
                     a.pad_right);
}

bool groups_are_valid(const Conv2dAttrs& a, const Shape& x, const Shape& y, const Shape& w) {
  return a.groups >= 1 && x[3] % a.groups == 0 && y[3] % a.groups == 0 && w[0] == y[3] &&
         w[3] == x[3] / a.groups;
}

// XNNPACK's depthwise kernels go up to 5 x 5; it does larger ones as one product a channel.
bool depthwise_is_fast(const Shape& x, const Shape& y, const Shape& w) {
  return w[0] * int64_t{w[1]} <= 25 && x[3] == y[3] && w[2] == x[3];
}

// ---- Forward -----------------------------------------------------------------------------------

bool forward_supports(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Shape &x = args.input(0).shape, &y = args.output(0).shape, &w = args.input(1).shape;
  return convolution_is_valid(args, x, y, 1) && groups_are_valid(a, x, y, w) &&
         clamp_is_valid(a.clamp_min, a.clamp_max);
}

bool depthwise_supports(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Shape &x = args.input(0).shape, &y = args.output(0).shape, &w = args.input(1).shape;
  return convolution_is_valid(args, x, y, 0) && depthwise_is_fast(x, y, w) &&
         clamp_is_valid(a.clamp_min, a.clamp_max);
}

template <bool kDepthwise>
void* forward_prepare(const KernelArgs& args, size_t* held_bytes) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor x = args.input(0), w = args.input(1), y = args.output(0);
  const int axis = kDepthwise ? 0 : 1;
  const size_t inputs = x.shape[3], outputs = y.shape[3];
  const uint32_t groups = kDepthwise ? x.shape[3] : a.groups;
  const FusedOutput output = fused_output(args, a.clamp_min, a.clamp_max);
  Prepared* prepared = prepare_operator(
      w.bytes() + outputs * sizeof(float), held_bytes,
      [&](xnn_operator_t* op) {
        return create(xnn_create_convolution2d_nhwc_f32, op, a.pad_top, a.pad_right, a.pad_bottom,
                      a.pad_left, w.shape[axis], w.shape[axis + 1], a.stride_h, a.stride_w,
                      a.dilation_h, a.dilation_w, groups, inputs / groups, outputs / groups, inputs,
                      outputs, w.as<float>(), output.bias, output.min, output.max,
                      kDepthwise ? XNN_FLAG_DEPTHWISE_CONVOLUTION : 0);
      },
      [&](xnn_operator_t op) { return set_up_convolution(op, x, y, args.pool->native()); });
  if (prepared) prepared->bias_after = bias_is_trained(args);
  return prepared;
}

// ---- Gradient of the input ---------------------------------------------------------------------

// With a stride XNNPACK is fast where every pixel of dx has a tap and taps are neighbours;
// otherwise it multiplies by mostly zeros.
bool grad_input_supports(const KernelArgs& args) {
  if (args.num_inputs > 2) return false;  // a mask
  const auto& a = args.attributes<Conv2dAttrs>();
  const Shape &dy = args.input(0).shape, &dx = args.output(0).shape, &w = args.input(1).shape;
  if (!convolution_is_valid(args, dx, dy, 1) || !groups_are_valid(a, dx, dy, w)) return false;
  if (a.stride_h == 1 && a.stride_w == 1) return true;
  return a.dilation_h == 1 && a.dilation_w == 1 && a.stride_h <= w[1] && a.stride_w <= w[2];
}

// A deconvolution, or for 1x1 a convolution, with w as [C,KH,KW,O] in each group.
void* grad_input_prepare(const KernelArgs& args, size_t* held_bytes) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor dy = args.input(0), w = args.input(1), dx = args.output(0);
  const int64_t groups = a.groups, taps = w.shape.product(1, 3);
  const int64_t outputs = w.shape[0] / groups, channels = w.shape[3];
  auto* transposed = new (std::nothrow) float[w.shape.elements()];
  if (!transposed) return nullptr;
  for (int64_t g = 0; g < groups; ++g)
    for (int64_t o = 0; o < outputs; ++o)
      for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t c = 0; c < channels; ++c)
          transposed[((g * channels + c) * taps + tap) * outputs + o] =
              w.as<float>()[((g * outputs + o) * taps + tap) * channels + c];

  const size_t from = dy.shape[3], to = dx.shape[3];
  const bool pointwise = taps == 1 && a.stride_h == 1 && a.stride_w == 1 && a.pad_top == 0 &&
                         a.pad_left == 0 && a.pad_bottom == 0 && a.pad_right == 0;
  Prepared* prepared = prepare_operator(
      w.bytes(), held_bytes,
      [&](xnn_operator_t* op) {
        if (pointwise)
          return create(xnn_create_convolution2d_nhwc_f32, op, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, groups,
                        outputs, channels, from, to, transposed, nullptr, -kInfinity, kInfinity, 0);
        return create(xnn_create_deconvolution2d_nhwc_f32, op, a.pad_top, a.pad_right, a.pad_bottom,
                      a.pad_left, w.shape[1], w.shape[2], a.stride_h, a.stride_w, a.dilation_h,
                      a.dilation_w, groups, outputs, channels, from, to, transposed, nullptr,
                      -kInfinity, kInfinity, 0);
      },
      [&](xnn_operator_t op) {
        if (pointwise) return set_up_convolution(op, dy, dx, args.pool->native());
        // Pixels at the end of dx that no whole step of the forward window reached.
        const int64_t rest_h = dx.shape[1] + a.pad_top + a.pad_bottom -
                               reach(w.shape[1], a.dilation_h) -
                               int64_t{a.stride_h} * (dy.shape[1] - 1);
        const int64_t rest_w = dx.shape[2] + a.pad_left + a.pad_right -
                               reach(w.shape[2], a.dilation_w) -
                               int64_t{a.stride_w} * (dy.shape[2] - 1);
        return set_up_deconvolution(op, dy, dx, rest_h, rest_w, args.pool->native());
      });
  delete[] transposed;
  return prepared;
}

// With stride 1, a depthwise convolution over dy with the kernel turned around and padded up to the
// size of dx. XNNPACK's deconvolution does strides as one product a channel, 100 times slower.
bool depthwise_grad_input_supports(const KernelArgs& args) {
  if (args.num_inputs > 2) return false;  // a mask
  const auto& a = args.attributes<Conv2dAttrs>();
  const Shape &dy = args.input(0).shape, &dx = args.output(0).shape, &w = args.input(1).shape;
  return convolution_is_valid(args, dx, dy, 0) && depthwise_is_fast(dx, dy, w) && a.stride_h == 1 &&
         a.stride_w == 1 && std::max(a.pad_top, a.pad_bottom) < reach(w[0], a.dilation_h) &&
         std::max(a.pad_left, a.pad_right) < reach(w[1], a.dilation_w);
}

void* depthwise_grad_input_prepare(const KernelArgs& args, size_t* held_bytes) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor dy = args.input(0), w = args.input(1), dx = args.output(0);
  const int64_t taps = w.shape.product(0, 2), channels = w.shape[2];
  auto* turned = new (std::nothrow) float[w.shape.elements()];
  if (!turned) return nullptr;
  for (int64_t tap = 0; tap < taps; ++tap)
    std::memcpy(turned + tap * channels, w.as<float>() + (taps - 1 - tap) * channels,
                channels * sizeof(float));
  const uint32_t pad_h = reach(w.shape[0], a.dilation_h) - 1;
  const uint32_t pad_w = reach(w.shape[1], a.dilation_w) - 1;
  Prepared* prepared = prepare_operator(
      w.bytes(), held_bytes,
      [&](xnn_operator_t* op) {
        return create(xnn_create_convolution2d_nhwc_f32, op, pad_h - a.pad_top, pad_w - a.pad_right,
                      pad_h - a.pad_bottom, pad_w - a.pad_left, w.shape[0], w.shape[1], 1, 1,
                      a.dilation_h, a.dilation_w, channels, 1, 1, channels, channels, turned,
                      nullptr, -kInfinity, kInfinity, XNN_FLAG_DEPTHWISE_CONVOLUTION);
      },
      [&](xnn_operator_t op) { return set_up_convolution(op, dy, dx, args.pool->native()); });
  delete[] turned;
  return prepared;
}

}  // namespace

constexpr Kernel kConv2d{run_forward<Conv2dAttrs>, forward_supports, nullptr,
                         forward_prepare<false>, release};
constexpr Kernel kDepthwiseConv2d{run_forward<Conv2dAttrs>, depthwise_supports, nullptr,
                                  forward_prepare<true>, release};
constexpr Kernel kConv2dGradInput{run, grad_input_supports, nullptr, grad_input_prepare, release};
constexpr Kernel kDepthwiseConv2dGradInput{run, depthwise_grad_input_supports, nullptr,
                                           depthwise_grad_input_prepare, release};

}  // namespace attune::xnnpack
