#include <algorithm>
#include <numeric>
#include <type_traits>

#include "kernels/clamp_mask.h"
#include "kernels/eigen/gemm.h"
#include "kernels/eigen/kernels.h"
#include "kernels/eigen/patch.h"
#include "kernels/mask_grad.h"

// Convolution as a product over NHWC, group by group:
//   y[pixel, o]  = sum over (kh, kw, c) of patch[pixel, (kh, kw, c)] * w[o, (kh, kw, c)]
//   dw[o, k]     = sum over pixels of dy[pixel, o] * patch[pixel, k]
//   dx[pixel, c] = sum over (kh, kw, o) of patch of dy * w[o, kh, kw, c]
// A 1x1 convolution has the same rows without gathering.
namespace attune::eigen {
namespace {

// A patch of x. x is [N,H,W,C]; y's height and width are of the forward output.
template <class T>
PatchRows<T> patches(const T* x, const Shape& x_shape, int64_t out_h, int64_t out_w,
                     const Conv2dAttrs& attrs, int64_t kernel_h, int64_t kernel_w, int group) {
  PatchRows<T> p;
  p.h = {out_h, kernel_h, attrs.stride_h, -attrs.pad_top, attrs.dilation_h, x_shape[1]};
  p.w = {out_w, kernel_w, attrs.stride_w, -attrs.pad_left, attrs.dilation_w, x_shape[2]};
  p.pixel_stride = x_shape[3];
  p.channels = x_shape[3] / attrs.groups;
  p.data = x + group * p.channels;
  return p;
}

// Whether patches are whole pixels, one after the other.
bool is_pointwise(const Conv2dAttrs& a, int64_t kernel_h, int64_t kernel_w) {
  return kernel_h == 1 && kernel_w == 1 && a.stride_h == 1 && a.stride_w == 1 && a.pad_top == 0 &&
         a.pad_left == 0 && a.pad_bottom == 0 && a.pad_right == 0;
}

bool supports(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  return has_elements(args) && a.groups >= 1 && a.stride_h >= 1 && a.stride_w >= 1 &&
         a.dilation_h >= 1 && a.dilation_w >= 1;
}

// ---- Forward ---------------------------------------------------------------------------------

template <class T>
size_t forward_workspace(const KernelArgs& args, int) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Shape& w = args.input(1).shape;
  return gemm_workspace_bytes<T>(w[0] / a.groups, w.product(1, 4));
}

template <class T>
void forward(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor x = args.input(0), w = args.input(1), bias = args.input(2);
  const Tensor y = args.output(0), mask = args.output(1);
  const int64_t outputs = w.shape[0] / a.groups, depth = w.shape.product(1, 4);
  const int64_t pixels = y.shape.product(0, 3), y_stride = y.shape[3];
  for (int group = 0; group < a.groups; ++group) {
    Epilogue<T> epilogue;
    if (bias) epilogue.bias = bias.as<T>() + group * outputs;
    epilogue.clamps = a.clamps();
    epilogue.min = static_cast<T>(a.clamp_min);
    epilogue.max = static_cast<T>(a.clamp_max);
    const ColMajorB<T> b{w.as<T>() + group * outputs * depth, depth};
    T* y_group = y.as<T>() + group * outputs;
    const auto y_row = [=](int64_t m) { return y_group + m * y_stride; };
    const auto product = [&](const auto& rows) {
      gemm(RowMajorA<T, std::decay_t<decltype(rows)>>{rows}, b, y_row, pixels, outputs, depth,
           epilogue, static_cast<T*>(args.workspace), *args.pool);
    };
    if (is_pointwise(a, w.shape[1], w.shape[2]))
      product(MatrixRows<T>{x.as<T>() + group * depth, x.shape[3]});
    else
      product(
          patches(x.as<T>(), x.shape, y.shape[1], y.shape[2], a, w.shape[1], w.shape[2], group));
  }
  if (mask)
    write_clamp_mask(y.as<T>(), y.shape.elements(), static_cast<T>(a.clamp_min),
                     static_cast<T>(a.clamp_max), mask.as<uint8_t>(), *args.pool);
}

// ---- Gradient of the weight --------------------------------------------------------------------

template <class T>
size_t grad_weight_workspace(const KernelArgs& args, int) {
  return gemm_workspace_bytes<T>(args.output(0).shape.product(1, 4),
                                 args.input(1).shape.product(0, 3));
}

template <class T>
void grad_weight(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor x = args.input(0), dy = args.input(1), dw = args.output(0);
  const int64_t outputs = dw.shape[0] / a.groups, cols = dw.shape.product(1, 4);
  const int64_t pixels = dy.shape.product(0, 3);
  for (int group = 0; group < a.groups; ++group) {
    const ColMajorA<T> a_dy{dy.as<T>() + group * outputs, dy.shape[3]};
    T* dw_group = dw.as<T>() + group * outputs * cols;
    const auto dw_row = [=](int64_t m) { return dw_group + m * cols; };
    const auto product = [&](const auto& rows) {
      gemm(a_dy, RowMajorB<T, std::decay_t<decltype(rows)>>{rows}, dw_row, outputs, cols, pixels,
           Epilogue<T>{}, static_cast<T*>(args.workspace), *args.pool);
    };
    if (is_pointwise(a, dw.shape[1], dw.shape[2]))
      product(MatrixRows<T>{x.as<T>() + group * cols, x.shape[3]});
    else
      product(patches(x.as<T>(), x.shape, dy.shape[1], dy.shape[2], a, dw.shape[1], dw.shape[2],
                      group));
  }
}

// ---- Gradient of the input ---------------------------------------------------------------------

// The elements of one axis of dx that the same taps of the kernel reach: first, first + stride, ...
// Their taps are first_tap, first_tap + tap_step, ...; `window` says which dy each tap reads.
struct Phase {
  int64_t first;
  int64_t first_tap, tap_step;
  WindowAxis window;  // window.taps == 0: nothing reaches them
};

// Phase `first` in [0, stride): element h takes tap k from dy index (h + pad - k * dilation) /
// stride where that is whole.
Phase phase_of(int64_t first, int64_t stride, int64_t pad, int64_t dilation, int64_t kernel,
               int64_t size, int64_t dy_size) {
  Phase p;
  p.first = first;
  p.tap_step = stride / std::gcd(stride, dilation);
  p.first_tap = 0;
  while (p.first_tap < p.tap_step && (first + pad - p.first_tap * dilation) % stride != 0)
    ++p.first_tap;
  const bool reached = p.first_tap < p.tap_step && p.first_tap < kernel;
  p.window.count = first < size ? (size - first + stride - 1) / stride : 0;
  p.window.taps = reached ? (kernel - p.first_tap + p.tap_step - 1) / p.tap_step : 0;
  p.window.stride = 1;
  p.window.offset = reached ? (first + pad - p.first_tap * dilation) / stride : 0;
  p.window.delta = -(p.tap_step * dilation / stride);
  p.window.limit = dy_size;
  return p;
}

// Rows (tap of h, tap of w, o), flat, of a phase: w[o, kh, kw, :].
template <class T>
struct PhaseWeightRows {
  const T* w;
  Phase h, w_axis;
  int64_t outputs, kernel_h, kernel_w, channels;

  template <class F>
  void runs(int64_t row, int64_t begin, int64_t end, F&& f) const {
    const int64_t o = row % outputs, tap = row / outputs;
    const int64_t kh = h.first_tap + tap / w_axis.window.taps * h.tap_step;
    const int64_t kw = w_axis.first_tap + tap % w_axis.window.taps * w_axis.tap_step;
    f(int64_t{0}, w + ((o * kernel_h + kh) * kernel_w + kw) * channels + begin, end - begin);
  }
};

template <class T>
size_t grad_input_workspace(const KernelArgs& args, int) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Shape& w = args.input(1).shape;
  // The first phases may have the most taps or not: take the bound, all taps.
  return gemm_workspace_bytes<T>(w[3], int64_t{w[0]} / a.groups * w[1] * w[2]);
}

template <class T>
void grad_input(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor dy = args.input(0), w = args.input(1), dx = args.output(0);
  const int64_t outputs = w.shape[0] / a.groups, channels = w.shape[3];
  const int64_t height = dx.shape[1], width = dx.shape[2], dx_stride = dx.shape[3];
  T* const workspace = static_cast<T*>(args.workspace);
  for (int group = 0; group < a.groups; ++group) {
    const T* dy_group = dy.as<T>() + group * outputs;
    const T* w_group = w.as<T>() + group * outputs * w.shape.product(1, 4);
    T* dx_group = dx.as<T>() + group * channels;
    if (is_pointwise(a, w.shape[1], w.shape[2])) {
      gemm(
          RowMajorA<T, MatrixRows<T>>{{dy_group, dy.shape[3]}},
          RowMajorB<T, MatrixRows<T>>{{w_group, channels}},
          [=](int64_t m) { return dx_group + m * dx_stride; }, dx.shape.product(0, 3), channels,
          outputs, Epilogue<T>{}, workspace, *args.pool);
      continue;
    }
    for (int64_t ph = 0; ph < a.stride_h; ++ph) {
      const Phase h =
          phase_of(ph, a.stride_h, a.pad_top, a.dilation_h, w.shape[1], height, dy.shape[1]);
      for (int64_t pw = 0; pw < a.stride_w; ++pw) {
        const Phase v =
            phase_of(pw, a.stride_w, a.pad_left, a.dilation_w, w.shape[2], width, dy.shape[2]);
        const int64_t rows = dx.shape[0] * h.window.count * v.window.count;
        const auto dx_row = [=, stride_h = a.stride_h, stride_w = a.stride_w](int64_t m) {
          const int64_t j = m % v.window.count, i = m / v.window.count % h.window.count;
          const int64_t n = m / (v.window.count * h.window.count);
          const int64_t pixel = (n * height + ph + i * stride_h) * width + pw + j * stride_w;
          return dx_group + pixel * dx_stride;
        };
        if (rows == 0) continue;
        if (h.window.taps * v.window.taps == 0) {
          args.pool->parallel_for(rows, 256, [&](int64_t begin, int64_t end) {
            for (int64_t m = begin; m < end; ++m) std::fill_n(dx_row(m), channels, T(0));
          });
          continue;
        }
        PatchRows<T> patch;
        patch.data = dy_group;
        patch.h = h.window;
        patch.w = v.window;
        patch.channels = outputs;
        patch.pixel_stride = dy.shape[3];
        const PhaseWeightRows<T> weight{w_group, h, v, outputs, w.shape[1], w.shape[2], channels};
        gemm(RowMajorA<T, PatchRows<T>>{patch}, RowMajorB<T, PhaseWeightRows<T>>{weight}, dx_row,
             rows, channels, h.window.taps * v.window.taps * outputs, Epilogue<T>{}, workspace,
             *args.pool);
      }
    }
  }
  mask_grad_input<T>(args);
}

template <class T>
constexpr Kernel kForward{forward<T>, supports, forward_workspace<T>, nullptr, nullptr};
template <class T>
constexpr Kernel kGradInput{grad_input<T>, supports, grad_input_workspace<T>, nullptr, nullptr};
template <class T>
constexpr Kernel kGradWeight{grad_weight<T>, supports, grad_weight_workspace<T>, nullptr, nullptr};

}  // namespace

constexpr KernelPair kConv2d{kForward<float>, kForward<double>};
constexpr KernelPair kConv2dGradInput{kGradInput<float>, kGradInput<double>};
constexpr KernelPair kConv2dGradWeight{kGradWeight<float>, kGradWeight<double>};

}  // namespace attune::eigen
