#include <algorithm>
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
  const Tensor y = args.output(0);
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
  write_clamp_mask<T>(args, a.clamp_min, a.clamp_max);
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

// Rows (tap of h, tap of w, o), flat, of a phase: w[o, kh, kw, :].
template <class T>
struct PhaseWeightRows {
  const T* w;
  const InputPhase& phase;
  int64_t kernel_h, kernel_w, channels;

  template <class F>
  void runs(int64_t row, int64_t begin, int64_t end, F&& f) const {
    f(int64_t{0}, w + phase.weight_row(row, kernel_h, kernel_w) * channels + begin, end - begin);
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
  const int64_t dx_stride = dx.shape[3];
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
    for_phases(args, [&](const InputPhase& phase) {
      const auto dx_row = [&](int64_t m) { return dx_group + phase.pixel(m) * dx_stride; };
      if (phase.depth() == 0) {
        args.pool->parallel_for(phase.rows(), 256, [&](int64_t begin, int64_t end) {
          for (int64_t m = begin; m < end; ++m) std::fill_n(dx_row(m), channels, T(0));
        });
        return;
      }
      PatchRows<T> patch;
      patch.data = dy_group;
      patch.h = phase.h.window;
      patch.w = phase.w.window;
      patch.channels = outputs;
      patch.pixel_stride = dy.shape[3];
      const PhaseWeightRows<T> weight{w_group, phase, w.shape[1], w.shape[2], channels};
      gemm(RowMajorA<T, PatchRows<T>>{patch}, RowMajorB<T, PhaseWeightRows<T>>{weight}, dx_row,
           phase.rows(), channels, phase.depth(), Epilogue<T>{}, workspace, *args.pool);
    });
  }
  mask_grad_input<T>(args);
}

template <class T>
constexpr Kernel kForward{forward<T>, has_elements, forward_workspace<T>, nullptr, nullptr};
template <class T>
constexpr Kernel kGradInput{grad_input<T>, has_elements, grad_input_workspace<T>, nullptr, nullptr};
template <class T>
constexpr Kernel kGradWeight{grad_weight<T>, has_elements, grad_weight_workspace<T>, nullptr,
                             nullptr};

}  // namespace

constexpr KernelPair kConv2d{kForward<float>, kForward<double>};
constexpr KernelPair kConv2dGradInput{kGradInput<float>, kGradInput<double>};
constexpr KernelPair kConv2dGradWeight{kGradWeight<float>, kGradWeight<double>};

}  // namespace attune::eigen
