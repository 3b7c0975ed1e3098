#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/conv2d.cpp"
#include <hwy/foreach_target.h>
//
#include <numeric>

#include "kernels/simd/gemm-inl.h"
#include "kernels/simd/kernels.h"
#include "kernels/simd/mask-inl.h"

// Convolution as a product over NHWC:
//   y[pixel, o]  = sum over (kh, kw, c) of patch[pixel, (kh, kw, c)] * w[o, (kh, kw, c)]
//   dw[o, k]     = sum over pixels of dy[pixel, o] * patch[pixel, k]
//   dx[pixel, c] = sum over (kh, kw, o) of patch of dy * w[o, kh, kw, c]
// Patches are gathered a block of k at a time while packing. Those of a 1x1 convolution are pixels.
HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {
namespace {

PatchRows patches(const float* x, const Shape& x_shape, int64_t out_h, int64_t out_w,
                  const Conv2dAttrs& attrs, int64_t kernel_h, int64_t kernel_w) {
  PatchRows p;
  p.h = {out_h, kernel_h, attrs.stride_h, -attrs.pad_top, attrs.dilation_h, x_shape[1]};
  p.w = {out_w, kernel_w, attrs.stride_w, -attrs.pad_left, attrs.dilation_w, x_shape[2]};
  p.channels = x_shape[3];
  p.data = x;
  return p;
}

// Whether patches are whole pixels, one after the other.
bool is_pointwise(const Conv2dAttrs& a, int64_t kernel_h, int64_t kernel_w) {
  return kernel_h == 1 && kernel_w == 1 && a.stride_h == 1 && a.stride_w == 1 && a.pad_top == 0 &&
         a.pad_left == 0 && a.pad_bottom == 0 && a.pad_right == 0;
}

bool conv_supports(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  return has_elements(args) && a.groups == 1 && a.stride_h >= 1 && a.stride_w >= 1 &&
         a.dilation_h >= 1 && a.dilation_w >= 1;
}

// ---- Forward ---------------------------------------------------------------------------------

size_t forward_workspace(const KernelArgs& args, int) {
  const Shape& w = args.input(1).shape;
  const int64_t pixels = args.output(0).shape.product(0, 3), depth = w.product(1, 4);
  if (is_pointwise(args.attributes<Conv2dAttrs>(), w[1], w[2]) && has_few_rows(pixels, w[0], depth))
    return few_rows_workspace_bytes(pixels, depth);
  return gemm_workspace_bytes(w[0], depth);
}

void forward(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor x = args.input(0), w = args.input(1), bias = args.input(2);
  const Tensor y = args.output(0), mask = args.output(1);
  const int64_t outputs = w.shape[0], depth = w.shape.product(1, 4);
  const int64_t pixels = y.shape.product(0, 3);
  Epilogue epilogue;
  epilogue.bias = bias.as<float>();
  epilogue.clamps = a.clamps();
  epilogue.min = static_cast<float>(a.clamp_min);
  epilogue.max = static_cast<float>(a.clamp_max);
  epilogue.y = y.as<float>();
  const bool fuses_mask = outputs % 8 == 0;
  if (fuses_mask) epilogue.mask = mask.as<uint8_t>();
  const ColMajorB b{w.as<float>(), depth};
  const auto y_row = [data = y.as<float>(), outputs](int64_t m) { return data + m * outputs; };
  float* const workspace = static_cast<float*>(args.workspace);
  const RowMajorA<MatrixRows> a_pixels{{x.as<float>(), depth}};
  if (!is_pointwise(a, w.shape[1], w.shape[2]))
    gemm(RowMajorA<PatchRows>{patches(x.as<float>(), x.shape, y.shape[1], y.shape[2], a, w.shape[1],
                                      w.shape[2])},
         b, y_row, pixels, outputs, depth, epilogue, workspace, *args.pool);
  else if (has_few_rows(pixels, outputs, depth))
    gemm_few_rows(a_pixels, b, y_row, pixels, outputs, depth, epilogue, workspace, *args.pool);
  else
    gemm(a_pixels, b, y_row, pixels, outputs, depth, epilogue, workspace, *args.pool);
  if (mask && !fuses_mask)
    write_mask(y.as<float>(), y.shape.elements(), epilogue.min, epilogue.max, mask.as<uint8_t>(),
               *args.pool);
}

// ---- Gradient of the weight --------------------------------------------------------------------

size_t grad_weight_workspace(const KernelArgs& args, int) {
  const Shape& dw = args.output(0).shape;
  const int64_t cols = dw.product(1, 4), pixels = args.input(1).shape.product(0, 3);
  if (is_pointwise(args.attributes<Conv2dAttrs>(), dw[1], dw[2]) &&
      is_long_and_thin(dw[0], cols, pixels))
    return gemm_workspace_bytes(cols, kBlockK);
  return gemm_workspace_bytes(cols, pixels, dw[0]);
}

void grad_weight(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor x = args.input(0), dy = args.input(1), dw = args.output(0);
  const int64_t outputs = dw.shape[0], cols = dw.shape.product(1, 4);
  const int64_t pixels = dy.shape.product(0, 3);
  const ColMajorA a_dy{dy.as<float>(), outputs};
  const auto dw_row = [data = dw.as<float>(), cols](int64_t m) { return data + m * cols; };
  float* const workspace = static_cast<float*>(args.workspace);
  if (is_pointwise(a, dw.shape[1], dw.shape[2]) && is_long_and_thin(outputs, cols, pixels))
    gemm_long_and_thin(dy.as<float>(), x.as<float>(), dw_row, outputs, cols, pixels, workspace,
                       *args.pool);
  else if (is_pointwise(a, dw.shape[1], dw.shape[2]))
    gemm(a_dy, RowMajorB<MatrixRows>{{x.as<float>(), cols}}, dw_row, outputs, cols, pixels,
         Epilogue{}, workspace, *args.pool);
  else
    gemm(a_dy,
         RowMajorB<PatchRows>{patches(x.as<float>(), x.shape, dy.shape[1], dy.shape[2], a,
                                      dw.shape[1], dw.shape[2])},
         dw_row, outputs, cols, pixels, Epilogue{}, workspace, *args.pool);
}

// ---- Gradient of the input ---------------------------------------------------------------------

// The elements of one axis of dx that the same taps of the kernel reach: first, first + stride, ...
// Their taps are first_tap, first_tap + tap_step, ...; `window` says which dy each tap reads.
struct Phase {
  int64_t first_tap = 0, tap_step;
  WindowAxis window;  // window.taps == 0: nothing reaches them
};

// Phase `first` in [0, stride): element h takes tap k from dy index (h + pad - k * dilation) /
// stride where that is whole.
Phase phase_of(int64_t first, int64_t stride, int64_t pad, int64_t dilation, int64_t kernel,
               int64_t size, int64_t dy_size) {
  Phase p;
  p.tap_step = stride / std::gcd(stride, dilation);
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
struct PhaseWeightRows {
  const float* w;
  Phase h, v;
  int64_t outputs, kernel_h, kernel_w, channels;

  struct Cursor {
    const PhaseWeightRows& rows;
    int64_t row;
    template <class F>
    void runs(int64_t begin, int64_t end, F& f) const {
      const PhaseWeightRows& r = rows;
      const int64_t o = row % r.outputs, tap = row / r.outputs;
      const int64_t kh = r.h.first_tap + tap / r.v.window.taps * r.h.tap_step;
      const int64_t kw = r.v.first_tap + tap % r.v.window.taps * r.v.tap_step;
      f.put(0, r.w + ((o * r.kernel_h + kh) * r.kernel_w + kw) * r.channels + begin, end - begin);
    }
    void next() { ++row; }
  };
  Cursor at(int64_t row) const { return {*this, row}; }
};

// Masks blocks of dx, and sums them, as soon as the product has written them.
struct MaskBlocks {
  static constexpr int64_t kRows = kSumRows;
  MaskedGrad grad;
  BlockSums sums;
  void operator()(int64_t begin, int64_t end, int64_t c0, int64_t c1) const {
    grad.mask_block(begin, end, c0, c1, sums.start(begin / kRows, c0, c1));
  }
};

// Of the product alone: what masks and sums need follows.
size_t grad_input_product_workspace(const KernelArgs& args) {
  const Shape& w = args.input(1).shape;
  const int64_t pixels = args.output(0).shape.product(0, 3);
  if (is_pointwise(args.attributes<Conv2dAttrs>(), w[1], w[2]) && has_few_rows(pixels, w[3], w[0]))
    return few_rows_workspace_bytes(pixels, w[0]);
  // The first phases may have the most taps or not: take the bound, all taps.
  return gemm_workspace_bytes(w[3], w.product(0, 3));
}

size_t grad_input_workspace(const KernelArgs& args, int) {
  const Shape& dx = args.output(0).shape;
  const size_t sums =
      args.num_outputs < 2 ? 0 : BlockSums::bytes(sum_blocks(dx.product(0, 3)), dx[3]);
  return grad_input_product_workspace(args) + sums;
}

// Where taps lie a stride apart, dx is made of phases that are products of their own.
void grad_input_by_phases(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor dy = args.input(0), w = args.input(1), dx = args.output(0);
  const int64_t outputs = w.shape[0], channels = w.shape[3];
  const int64_t height = dx.shape[1], width = dx.shape[2];
  float* const data = dx.as<float>();
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
        return data + ((n * height + ph + i * stride_h) * width + pw + j * stride_w) * channels;
      };
      if (rows == 0) continue;
      if (h.window.taps * v.window.taps == 0) {
        args.pool->parallel_for(rows, 256, [&](int64_t begin, int64_t end) {
          for (int64_t m = begin; m < end; ++m) std::fill_n(dx_row(m), channels, 0.0f);
        });
        continue;
      }
      const PatchRows patch{dy.as<float>(), h.window, v.window, outputs};
      const PhaseWeightRows weight{w.as<float>(), h, v, outputs, w.shape[1], w.shape[2], channels};
      gemm(RowMajorA<PatchRows>{patch}, RowMajorB<PhaseWeightRows>{weight}, dx_row, rows, channels,
           h.window.taps * v.window.taps * outputs, Epilogue{}, static_cast<float*>(args.workspace),
           *args.pool);
    }
  }
}

void grad_input(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor dy = args.input(0), w = args.input(1), dx = args.output(0), mask = args.input(2);
  const int64_t outputs = w.shape[0], channels = w.shape[3], pixels = dx.shape.product(0, 3);
  float* const workspace = static_cast<float*>(args.workspace);
  float* const data = dx.as<float>();
  const auto dx_row = [=](int64_t m) { return data + m * channels; };
  const MaskBlocks blocks{
      {data, mask.as<uint8_t>(), data, pixels, channels},
      {args.output(1) ? workspace + grad_input_product_workspace(args) / sizeof(float) : nullptr,
       channels}};
  if (!is_pointwise(a, w.shape[1], w.shape[2])) {
    grad_input_by_phases(args);
  } else {
    const RowMajorA<MatrixRows> a_pixels{{dy.as<float>(), outputs}};
    const RowMajorB<MatrixRows> weight{{w.as<float>(), channels}};
    if (has_few_rows(pixels, channels, outputs)) {
      gemm_few_rows(a_pixels, weight, dx_row, pixels, channels, outputs, Epilogue{}, workspace,
                    *args.pool);
    } else if (mask && blocks.grad.rows_are_bytes()) {
      gemm(a_pixels, weight, dx_row, pixels, channels, outputs, Epilogue{}, workspace, *args.pool,
           blocks);
      blocks.sums.finish(sum_blocks(pixels), args.output(1).as<float>());
      return;
    } else {
      gemm(a_pixels, weight, dx_row, pixels, channels, outputs, Epilogue{}, workspace, *args.pool);
    }
  }
  if (mask) mask_all(blocks.grad, blocks.sums, args.output(1).as<float>(), *args.pool);
}

constexpr Kernel kForward{forward, conv_supports, forward_workspace, nullptr, nullptr};
constexpr Kernel kGradInput{grad_input, conv_supports, grad_input_workspace, nullptr, nullptr};
constexpr Kernel kGradWeight{grad_weight, conv_supports, grad_weight_workspace, nullptr, nullptr};

}  // namespace

const Kernel* find_conv2d_here(Op op) {
  if (op == Op::conv2d) return &kForward;
  if (op == Op::conv2d_grad_input) return &kGradInput;
  if (op == Op::conv2d_grad_weight) return &kGradWeight;
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune::simd {
HWY_EXPORT(find_conv2d_here);
const Kernel* find_conv2d(Op op) { return HWY_DYNAMIC_DISPATCH(find_conv2d_here)(op); }
}  // namespace attune::simd
#endif
