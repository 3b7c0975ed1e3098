#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/conv2d.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/simd/gemm-inl.h"
#include "kernels/simd/kernels.h"
#include "kernels/simd/long_and_thin-inl.h"
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

bool conv_supports(const KernelArgs& args) {
  return has_elements(args) && args.attributes<Conv2dAttrs>().groups == 1;
}

// ---- Forward ---------------------------------------------------------------------------------

constexpr Cut kPixels{.row_preference = kPixelPreference}, kWeights{.row_preference = 2};

size_t forward_workspace(const KernelArgs& args, int threads) {
  const Shape& w = args.input(1).shape;
  const int64_t pixels = args.output(0).shape.product(0, 3), depth = w.product(1, 4);
  if (is_pointwise(args.attributes<Conv2dAttrs>(), w[1], w[2]))
    return gemm_workspace_bytes<RowMajorA<MatrixRows>>(pixels, w[0], depth, kPixels, threads);
  return gemm_workspace_bytes<RowMajorA<PatchRows>>(pixels, w[0], depth, kPixels, threads);
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
  if (is_pointwise(a, w.shape[1], w.shape[2]))
    gemm(RowMajorA<MatrixRows>{{x.as<float>(), depth}}, b, y_row, pixels, outputs, depth, epilogue,
         kPixels, workspace, *args.pool);
  else
    gemm(RowMajorA<PatchRows>{patches(x.as<float>(), x.shape, y.shape[1], y.shape[2], a, w.shape[1],
                                      w.shape[2])},
         b, y_row, pixels, outputs, depth, epilogue, kPixels, workspace, *args.pool);
  if (mask && !fuses_mask)
    write_mask(y.as<float>(), y.shape.elements(), epilogue.min, epilogue.max, mask.as<uint8_t>(),
               *args.pool);
}

// ---- Gradient of the weight --------------------------------------------------------------------

// Pixels in up to kMaxParts parts, each with a sum of its own: then a thread reads the pixels that
// it wrote itself in the steps before, which are in its cache. Their number alone decides.
struct PixelParts {
  static constexpr int64_t kMaxParts = 4, kLeast = 4 * kBlockK;
  int64_t pixels, size, count;

  explicit PixelParts(int64_t all) : pixels(all) {
    const int64_t parts = std::clamp<int64_t>(pixels / kLeast, 1, kMaxParts);
    size = ((pixels + parts - 1) / parts + kBlockK - 1) / kBlockK * kBlockK;
    count = (pixels + size - 1) / size;
  }
  int64_t begin(int64_t part) const { return std::min(part * size, pixels); }
  // Parts at a time. More threads than parts share each part.
  int64_t at_once(int64_t threads) const { return threads > 1 && threads <= count ? count : 1; }
};

template <class Rows>
size_t part_workspace_bytes(int64_t outputs, int64_t cols, int64_t pixels, int64_t threads) {
  if (is_long_and_thin<Rows>(outputs, cols, pixels))
    return static_cast<size_t>(threads * long_and_thin_floats(cols)) * sizeof(float);
  return gemm_workspace_bytes<ColMajorA>(outputs, cols, pixels, kWeights, threads);
}

// What the product of a part needs.
size_t part_workspace_bytes(const KernelArgs& args, const PixelParts& parts, int64_t threads) {
  const Shape& dw = args.output(0).shape;
  const int64_t cols = dw.product(1, 4), pixels = std::min(parts.size, parts.pixels);
  if (is_pointwise(args.attributes<Conv2dAttrs>(), dw[1], dw[2]))
    return part_workspace_bytes<MatrixRows>(dw[0], cols, pixels, threads);
  return part_workspace_bytes<PatchRows>(dw[0], cols, pixels, threads);
}

size_t grad_weight_workspace(const KernelArgs& args, int threads) {
  const PixelParts parts(args.input(1).shape.product(0, 3));
  const int64_t at_once = parts.at_once(threads);
  const auto sums = static_cast<size_t>((parts.count - 1) * args.output(0).shape.elements());
  return sums * sizeof(float) + static_cast<size_t>(at_once) *
                                    part_workspace_bytes(args, parts, at_once > 1 ? 1 : threads);
}

// dw of the pixels [begin, end).
void grad_weight_of(const KernelArgs& args, int64_t begin, int64_t end, float* dw, float* workspace,
                    ThreadPool& pool) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor x = args.input(0), dy = args.input(1);
  const Shape& shape = args.output(0).shape;
  const int64_t outputs = shape[0], cols = shape.product(1, 4), pixels = end - begin;
  const float* const from_dy = dy.as<float>() + begin * outputs;
  const auto dw_row = [=](int64_t m) { return dw + m * cols; };
  const auto product = [&]<class Rows>(const RowMajorB<Rows>& b) {
    if (is_long_and_thin<Rows>(outputs, cols, pixels))
      gemm_long_and_thin(from_dy, b, dw_row, outputs, cols, pixels, workspace, pool);
    else
      gemm(ColMajorA{from_dy, outputs}, b, dw_row, outputs, cols, pixels, Epilogue{}, kWeights,
           workspace, pool);
  };
  if (is_pointwise(a, shape[1], shape[2]))
    product(RowMajorB<MatrixRows>{{x.as<float>() + begin * cols, cols}});
  else
    product(RowMajorB<PatchRows>{
        patches(x.as<float>(), x.shape, dy.shape[1], dy.shape[2], a, shape[1], shape[2]), begin});
}

void grad_weight(const KernelArgs& args) {
  const PixelParts parts(args.input(1).shape.product(0, 3));
  float* const dw = args.output(0).as<float>();
  const int64_t elements = args.output(0).shape.elements();
  // Sums of all parts but the first, then what products need.
  float* const sums = static_cast<float*>(args.workspace);
  float* const workspace = sums + (parts.count - 1) * elements;
  const int64_t at_once = parts.at_once(args.pool->threads());
  ThreadPool& pool = at_once > 1 ? ThreadPool::calling_thread() : *args.pool;
  const auto workspace_floats =
      static_cast<int64_t>(part_workspace_bytes(args, parts, pool.threads()) / sizeof(float));
  args.pool->parallel_for(at_once, 1, [&](int64_t i, int64_t) {
    for (int64_t p = i; p < parts.count; p += at_once)
      grad_weight_of(args, parts.begin(p), parts.begin(p + 1),
                     p == 0 ? dw : sums + (p - 1) * elements, workspace + i * workspace_floats,
                     pool);
  });
  if (parts.count > 1)
    args.pool->parallel_for(elements, 4096, [&](int64_t begin, int64_t end) {
      for (int64_t p = 1; p < parts.count; ++p)
        add_rows(sums + (p - 1) * elements + begin, 1, end - begin, dw + begin);
    });
}

// ---- Gradient of the input ---------------------------------------------------------------------

// Rows (tap of h, tap of w, o), flat, of a phase: w[o, kh, kw, :].
struct PhaseWeightRows {
  const float* w;
  const InputPhase& phase;
  int64_t kernel_h, kernel_w, channels;

  struct Cursor {
    const PhaseWeightRows& rows;
    int64_t row;
    template <class F>
    void runs(int64_t begin, int64_t end, F& f) const {
      const int64_t at = rows.phase.weight_row(row, rows.kernel_h, rows.kernel_w);
      f.put(0, rows.w + at * rows.channels + begin, end - begin);
    }
    void next(int64_t rows = 1) { row += rows; }
  };
  Cursor at(int64_t row) const { return {*this, row}; }
};

// Of a 1x1 convolution, whose product ends with masks where there are some.
Cut grad_input_cut(bool masks) {
  return {.row_unit = masks ? kSumRows : 1, .row_preference = kPixelPreference};
}

bool product_masks(const KernelArgs& args) {
  const Shape& w = args.input(1).shape;
  return args.input(2) && w[3] % 8 == 0 && is_pointwise(args.attributes<Conv2dAttrs>(), w[1], w[2]);
}

// Of the product alone: what masks and sums need follows.
size_t grad_input_product_workspace(const KernelArgs& args, int threads) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Shape &dx = args.output(0).shape, &w = args.input(1).shape;
  if (is_pointwise(a, w[1], w[2]))
    return gemm_workspace_bytes<RowMajorA<MatrixRows>>(
        dx.product(0, 3), w[3], w[0], grad_input_cut(product_masks(args)), threads);
  size_t most = 0;
  for_phases(args, [&](const InputPhase& p) {
    if (p.depth() > 0)
      most = std::max(most, gemm_workspace_bytes<RowMajorA<PatchRows>>(p.rows(), w[3], p.depth(),
                                                                       kPixels, threads));
  });
  return most;
}

size_t grad_input_workspace(const KernelArgs& args, int threads) {
  const Shape& dx = args.output(0).shape;
  const size_t sums =
      args.num_outputs < 2 ? 0 : BlockSums::bytes(sum_blocks(dx.product(0, 3)), dx[3]);
  return grad_input_product_workspace(args, threads) + sums;
}

void grad_input_by_phases(const KernelArgs& args) {
  const Tensor dy = args.input(0), w = args.input(1), dx = args.output(0);
  const int64_t outputs = w.shape[0], channels = w.shape[3];
  float* const data = dx.as<float>();
  for_phases(args, [&](const InputPhase& p) {
    const auto dx_row = [&, data](int64_t m) { return data + p.pixel(m) * channels; };
    if (p.depth() == 0) {
      args.pool->parallel_for(p.rows(), 256, [&](int64_t begin, int64_t end) {
        for (int64_t m = begin; m < end; ++m) std::fill_n(dx_row(m), channels, 0.0f);
      });
      return;
    }
    const PatchRows patch{dy.as<float>(), p.h.window, p.w.window, outputs};
    const PhaseWeightRows weight{w.as<float>(), p, w.shape[1], w.shape[2], channels};
    gemm(RowMajorA<PatchRows>{patch}, RowMajorB<PhaseWeightRows>{weight}, dx_row, p.rows(),
         channels, p.depth(), Epilogue{}, kPixels, static_cast<float*>(args.workspace), *args.pool);
  });
}

void grad_input(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor dy = args.input(0), w = args.input(1), dx = args.output(0), mask = args.input(2);
  const int64_t outputs = w.shape[0], channels = w.shape[3], pixels = dx.shape.product(0, 3);
  float* const workspace = static_cast<float*>(args.workspace);
  float* const data = dx.as<float>();
  const auto dx_row = [=](int64_t m) { return data + m * channels; };
  const size_t product_bytes = grad_input_product_workspace(args, args.pool->threads());
  const BlockSums sums{args.output(1) ? workspace + product_bytes / sizeof(float) : nullptr,
                       channels};
  if (is_pointwise(a, w.shape[1], w.shape[2])) {
    const bool masks = product_masks(args);
    Epilogue epilogue;
    if (masks) {
      epilogue.keep = mask.as<uint8_t>();
      epilogue.y = data;
      epilogue.sums = sums.blocks;
      epilogue.sum_cols = channels;
    }
    gemm(RowMajorA<MatrixRows>{{dy.as<float>(), outputs}},
         RowMajorB<MatrixRows>{{w.as<float>(), channels}}, dx_row, pixels, channels, outputs,
         epilogue, grad_input_cut(masks), workspace, *args.pool);
    if (masks) {
      sums.finish(sum_blocks(pixels), args.output(1).as<float>());
      return;
    }
  } else {
    grad_input_by_phases(args);
  }
  if (mask)
    mask_all({data, mask.as<uint8_t>(), data, pixels, channels}, sums, args.output(1).as<float>(),
             *args.pool);
}

constexpr Kernel kForward{forward, conv_supports, forward_workspace, nullptr, nullptr};
constexpr Kernel kGradInput{grad_input, conv_supports, grad_input_workspace, nullptr, nullptr};
constexpr Kernel kGradWeight{grad_weight, conv_supports, grad_weight_workspace, nullptr, nullptr};

}  // namespace

const Kernel* find_conv2d_here(Op op) {
  if (is<Op::conv2d>(op)) return &kForward;
  if (is<Op::conv2d_grad_input>(op) || is<Op::conv2d_transpose>(op)) return &kGradInput;
  if (is<Op::conv2d_grad_weight>(op)) return &kGradWeight;
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
ATTUNE_FIND_FOR_PROCESSOR(find_conv2d)
#endif
