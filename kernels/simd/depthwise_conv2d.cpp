#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/depthwise_conv2d.cpp"
#include <hwy/foreach_target.h>
//
#include <algorithm>
#include <utility>

#include "kernels/simd/depthwise_lines-inl.h"
#include "kernels/simd/kernels.h"
#include "kernels/simd/mask-inl.h"

// Depthwise convolution: vectors run over channels, each lane with a sum of its own, and several
// outputs of a line share what they load. Forward and gradient of the input add one tap after the
// other. The gradient of the weight adds the sums of blocks of lines.
HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {
namespace {

bool depthwise_supports(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  if (!has_elements(args)) return false;
  // The weight has three axes, all else four.
  const Shape& out = args.output(0).shape;
  const Shape& w = out.rank == 3 ? out : args.input(1).shape;
  return w[0] == w[1] && (w[0] == 3 || w[0] == 5 || w[0] == 7) && a.stride_h == a.stride_w &&
         (a.stride_h == 1 || a.stride_h == 2) && a.dilation_h == 1 && a.dilation_w == 1;
}

// ---- Forward -----------------------------------------------------------------------------------

// One line of outputs, or two.
void forward_lines(const KernelArgs& args, int64_t line, int lines, uint8_t* mask) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor x = args.input(0), w = args.input(1), y = args.output(0);
  const int64_t channels = x.shape[3], height = x.shape[1], width = x.shape[2];
  const int64_t out_h = y.shape[1], out_w = y.shape[2];
  const int kernel = w.shape[0], stride = a.stride_h;
  const int64_t n = line / out_h, y0 = line % out_h * stride - a.pad_top;
  const auto taps = [&](int kh) {
    return kh < 0 || kh >= kernel ? nullptr : w.as<float>() + kh * kernel * channels;
  };
  Lines l;
  l.lines = lines;
  for (int t = 0; t < kernel + (lines - 1) * stride; ++t)
    if (y0 + t >= 0 && y0 + t < height)
      l.add_row(x.as<float>() + (n * height + y0 + t) * width * channels, taps(t),
                lines == 2 ? taps(t - stride) : nullptr);
  l.w_step = l.channels = l.y_step = channels;
  l.columns = width, l.x0 = -a.pad_left;
  for (int i = 0; i < lines; ++i) {
    const int64_t at = (line + i) * out_w * channels;
    l.y[i] = y.as<float>() + at;
    if (mask) l.clamp_mask[i] = mask + at / 8;
  }
  l.outputs = out_w;
  l.y_ahead = lines * out_w * channels;
  l.bias = args.input(2).as<float>();
  l.clamps = a.clamps();
  l.min = static_cast<float>(a.clamp_min), l.max = static_cast<float>(a.clamp_max);
  if (stride == 1) {
    if (kernel == 3) run_lines<3, 1>(l);
    if (kernel == 5) run_lines<5, 1>(l);
    if (kernel == 7) run_lines<7, 1>(l);
  } else {
    if (kernel == 3) run_lines<3, 2>(l);
    if (kernel == 5) run_lines<5, 2>(l);
    if (kernel == 7) run_lines<7, 2>(l);
  }
}

void forward(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor y = args.output(0), mask = args.output(1);
  const int64_t out_h = y.shape[1], pairs = (out_h + 1) / 2, line_elements = y.shape.product(2, 4);
  const float min = static_cast<float>(a.clamp_min), max = static_cast<float>(a.clamp_max);
  const bool in_vectors = mask && a.clamps() && writes_mask(y.shape[3]);
  const bool in_lines = mask && !in_vectors && line_elements % 8 == 0;
  args.pool->parallel_for(y.shape[0] * pairs, 1, [&](int64_t pair, int64_t) {
    const int64_t row = pair % pairs * 2, line = pair / pairs * out_h + row;
    const int lines = row + 1 < out_h ? 2 : 1;
    forward_lines(args, line, lines, in_vectors ? mask.as<uint8_t>() : nullptr);
    if (in_lines)
      write_mask(y.as<float>() + line * line_elements, lines * line_elements, min, max,
                 mask.as<uint8_t>() + line * line_elements / 8);
  });
  if (mask && !in_vectors && !in_lines)
    write_mask(y.as<float>(), y.shape.elements(), min, max, mask.as<uint8_t>(), *args.pool);
}

// ---- Gradient of the input ---------------------------------------------------------------------

// Element h of dx takes tap k from dy index (h + pad - k) / stride where that is whole: taps first,
// first + stride, ... With a stride of 2 the even and the odd columns of a line are lines by
// themselves. Of two lines, `line` and `line` + stride, the second one sees the first line of dy,
// as rows of dy go from high to low.
void grad_input_lines(const KernelArgs& args, int64_t line, int lines, const uint8_t* mask,
                      float* sums) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor dy = args.input(0), w = args.input(1), dx = args.output(0);
  const int64_t channels = dx.shape[3], height = dx.shape[1], width = dx.shape[2];
  const int64_t out_h = dy.shape[1], out_w = dy.shape[2];
  const int kernel = w.shape[0], stride = a.stride_h;
  const int64_t n = line / height, h = line % height + a.pad_top, top = h / stride + lines - 1;
  for (int pw = 0; pw < stride && pw < width; ++pw) {
    const int first = (pw + a.pad_left) % stride;
    const int taps = (kernel - first + stride - 1) / stride;
    const auto taps_of = [&](int64_t kh) {
      return kh < 0 || kh >= kernel
                 ? nullptr
                 : w.as<float>() + (kh * kernel + first + (taps - 1) * stride) * channels;
    };
    Lines l;
    l.lines = lines;
    const int64_t kh = h % stride;
    for (int64_t t = 0; kh + (t - lines + 1) * stride < kernel; ++t)
      if (top - t >= 0 && top - t < out_h)
        l.add_row(dy.as<float>() + (n * out_h + top - t) * out_w * channels,
                  taps_of(kh + t * stride), lines == 2 ? taps_of(kh + (t - 1) * stride) : nullptr);
    l.w_step = -stride * channels;
    l.channels = channels;
    l.columns = out_w;
    l.x0 = (pw + a.pad_left - first) / stride - (taps - 1);
    for (int i = 0; i < lines; ++i) {
      const int64_t at = ((line + (lines - 1 - i) * stride) * width + pw) * channels;
      l.y[i] = dx.as<float>() + at;
      if (mask) l.mask[i] = mask + at / 8;
    }
    l.y_step = stride * channels;
    l.y_ahead = lines * stride * width * channels;
    l.sums = sums;
    l.outputs = (width - pw + stride - 1) / stride;
    if (taps == 1) run_lines<1, 1>(l);
    if (taps == 2) run_lines<2, 1>(l);
    if (taps == 3) run_lines<3, 1>(l);
    if (taps == 4) run_lines<4, 1>(l);
    if (taps == 5) run_lines<5, 1>(l);
    if (taps == 7) run_lines<7, 1>(l);
  }
}

// Lines [begin, end) of all images, in pairs.
void grad_input_block(const KernelArgs& args, int64_t begin, int64_t end, const uint8_t* mask,
                      float* sums) {
  const int64_t height = args.output(0).shape[1];
  const int stride = args.attributes<Conv2dAttrs>().stride_h;
  for (int64_t line = begin, next; line < end; line = next) {
    next = std::min({line + 2 * stride, end, (line / height + 1) * height});
    for (int64_t first = line; first < std::min(line + stride, next); ++first)
      grad_input_lines(args, first, first + stride < next ? 2 : 1, mask, sums);
  }
}

// Lines that one task computes and sums: kSumRows pixels or so, fewer where the image is small, in
// pairs.
int64_t lines_of_block(const Shape& dx, int stride) {
  const int64_t lines = dx.product(0, 2), group = 2 * stride;
  const int64_t block = std::clamp<int64_t>(kSumRows / dx[2], 1, (lines + 13) / 14);
  return (block + group - 1) / group * group;
}

int64_t line_blocks(const Shape& dx, int stride) {
  const int64_t block = lines_of_block(dx, stride);
  return (dx.product(0, 2) + block - 1) / block;
}

size_t grad_input_workspace(const KernelArgs& args, int) {
  const Shape& dx = args.output(0).shape;
  if (args.num_outputs < 2) return 0;
  const int stride = args.attributes<Conv2dAttrs>().stride_h;
  return BlockSums::bytes(std::max(line_blocks(dx, stride), sum_blocks(dx.product(0, 3))), dx[3]);
}

void grad_input(const KernelArgs& args) {
  const Tensor dx = args.output(0), mask = args.input(2);
  const int64_t channels = dx.shape[3], width = dx.shape[2], lines = dx.shape.product(0, 2);
  const MaskedGrad grad{dx.as<float>(), mask.as<uint8_t>(), dx.as<float>(), lines * width,
                        channels};
  const BlockSums sums{args.output(1) ? static_cast<float*>(args.workspace) : nullptr, channels};
  const bool fuses_mask = mask && grad.rows_are_bytes();
  const int stride = args.attributes<Conv2dAttrs>().stride_h;
  const int64_t block = lines_of_block(dx.shape, stride);
  args.pool->parallel_for(lines, block, [&](int64_t begin, int64_t end) {
    float* const of_block = fuses_mask ? sums.start(begin / block, 0, channels) : nullptr;
    grad_input_block(args, begin, end, fuses_mask ? grad.mask : nullptr, of_block);
  });
  if (fuses_mask)
    sums.finish(line_blocks(dx.shape, stride), args.output(1).as<float>());
  else if (mask)
    mask_all(grad, sums, args.output(1).as<float>(), *args.pool);
}

// ---- Gradient of the weight --------------------------------------------------------------------

// Lines of dy with the lines of x that some rows of the kernel see.
struct GradLines {
  const float* x;  // of the first row
  int64_t x_row;   // from a row's line to the next one's
  const float* dy;
  int64_t lines;
  int64_t outputs, columns, channels, x0;
  int64_t x_ahead, dy_ahead;  // to what the next block of lines is the first to read
};

// Output kOutput of a block sees a column of the block as tap kTap, or not at all.
template <int kKernel, int kTap, int kOutput>
HWY_INLINE void multiply_seen(V x, const V* dy, V* sums) {
  if constexpr (kTap >= 0 && kTap < kKernel) sums[kTap] = hn::MulAdd(x, dy[kOutput], sums[kTap]);
}

template <int kKernel, int kStride, int kColumn, int... P>
HWY_INLINE void multiply_by_outputs(V x, const V* dy, V* sums, std::integer_sequence<int, P...>) {
  (multiply_seen<kKernel, kColumn - P * kStride, P>(x, dy, sums), ...);
}

// A column of the lines of all rows, from x on; nothing is added where it is outside.
template <int kKernel, int kStride, bool kBorder, bool kPartial, int kColumn, int... P, int... R>
HWY_INLINE void multiply_column(const float* x, int64_t x_row, int64_t x_ahead, unsigned outside,
                                int n, const V* dy, V* sums,
                                std::integer_sequence<int, P...> outputs,
                                std::integer_sequence<int, R...>) {
  if constexpr (kColumn < static_cast<int>(sizeof...(P)) * kStride) {
    prefetch(x + x_ahead);
    if constexpr (kStride == 2) prefetch(x + x_ahead + x_row);
  }
  if constexpr (kBorder)
    if (outside >> kColumn & 1) return;
  (multiply_by_outputs<kKernel, kStride, kColumn>(load_some<kPartial>(x + R * x_row, n), dy,
                                                  sums + R * kKernel, outputs),
   ...);
}

template <int kKernel, int kStride, bool kBorder, bool kPartial, class Outputs, class Rows,
          int... C>
HWY_INLINE void multiply_columns(const float* x, int64_t channels, int64_t x_row, int64_t x_ahead,
                                 unsigned outside, int n, const V* dy, V* sums, Outputs outputs,
                                 Rows rows, std::integer_sequence<int, C...>) {
  ((multiply_column<kKernel, kStride, kBorder, kPartial, C>(x, x_row, x_ahead, outside, n, dy, sums,
                                                            outputs, rows),
    x += channels),
   ...);
}

// The vector at p, which moves on by a step; what is `ahead` is fetched.
template <bool kPartial>
HWY_INLINE V load_and_step(const float*& p, int64_t step, int64_t ahead, int n) {
  prefetch(p + ahead);
  const V v = load_some<kPartial>(p, n);
  p += step;
  return v;
}

// Outputs of a line, whose first column of x is given; each column is loaded once. Sum J is that of
// row J / kKernel, tap J % kKernel, and gains its products in the order of the outputs.
template <int kKernel, int kStride, bool kBorder, bool kPartial, class Rows, int... P>
HWY_INLINE void multiply_outputs(const GradLines& l, const float* x, const float* dy,
                                 unsigned outside, int n, V* sums, Rows rows,
                                 std::integer_sequence<int, P...> outputs) {
  constexpr int kColumns = (sizeof...(P) - 1) * kStride + kKernel;
  x = start_over(x), dy = start_over(dy);
  V v[sizeof...(P)];
  ((v[P] = load_and_step<kPartial>(dy, l.channels, l.dy_ahead, n)), ...);
  multiply_columns<kKernel, kStride, kBorder, kPartial>(
      x, l.channels, l.x_row, l.x_ahead, outside, n, v, sums, outputs, rows,
      std::make_integer_sequence<int, kColumns>{});
}

template <int kKernel, int kStride, bool kPartial, int kOutputs, class Rows>
HWY_INLINE void multiply_block(const GradLines& l, const float* x, const float* dy, int64_t i,
                               int n, V* sums, Rows rows) {
  constexpr int kColumns = (kOutputs - 1) * kStride + kKernel;
  constexpr std::make_integer_sequence<int, kOutputs> kAll;
  const int64_t first = l.x0 + i * kStride;
  x += first * l.channels;
  dy += i * l.channels;
  if (kOutputs > 1 && first >= 0 && first + kColumns <= l.columns)
    return multiply_outputs<kKernel, kStride, false, kPartial>(l, x, dy, 0, n, sums, rows, kAll);
  const auto before = std::clamp<int64_t>(-first, 0, kColumns);
  const auto inside = std::clamp<int64_t>(l.columns - first, 0, kColumns);
  const unsigned outside = ~((1u << inside) - 1) | ((1u << before) - 1);
  multiply_outputs<kKernel, kStride, true, kPartial>(l, x, dy, outside, n, sums, rows, kAll);
}

// Adds the products of the lines to the sums of some rows of the kernel, kLanes floats each.
template <int kKernel, int kStride, bool kPartial, int kRows, int... J>
HWY_NOINLINE void accumulate(const GradLines& l, int n, float* memory,
                             std::integer_sequence<int, J...>) {
  constexpr std::make_integer_sequence<int, kRows> kAllRows;
  V sums[sizeof...(J)];
  ((sums[J] = load(memory + J * kLanes)), ...);
  const float *x = l.x, *dy = l.dy;
  // Blocks of four, and of seven where so many of these leave none over: no more, for in a step the
  // processor fetches by itself what blocks of four read.
  [[maybe_unused]] const int64_t of_sevens = 7 * (-l.outputs & 3);
  for (int64_t line = 0; line < l.lines; ++line) {
    int64_t i = 0;
#if HWY_TARGET == HWY_AVX3
    for (; i < of_sevens && of_sevens <= l.outputs; i += 7)
      multiply_block<kKernel, kStride, kPartial, 7>(l, x, dy, i, n, sums, kAllRows);
#endif
    for (; i + 4 <= l.outputs; i += 4)
      multiply_block<kKernel, kStride, kPartial, 4>(l, x, dy, i, n, sums, kAllRows);
    for (; i < l.outputs; ++i)
      multiply_block<kKernel, kStride, kPartial, 1>(l, x, dy, i, n, sums, kAllRows);
    x += kStride * l.x_row;
    dy += l.outputs * l.channels;
  }
  (store(sums[J], memory + J * kLanes), ...);
}

// Rows of the kernel whose sums fit into registers, with a block of dy.
template <int kKernel>
constexpr int kRowsAtOnce = HWY_TARGET == HWY_AVX3 ? 3
                            : kKernel == 3         ? 3
                            : kKernel == 5         ? 2
                                                   : 1;

template <int kKernel, int kStride, bool kPartial, int kRows = kRowsAtOnce<kKernel>>
void accumulate_rows(int rows, GradLines l, int n, float* memory) {
  while (rows >= kRows) {
    accumulate<kKernel, kStride, kPartial, kRows>(
        l, n, memory, std::make_integer_sequence<int, kRows * kKernel>{});
    l.x += kRows * l.x_row;
    memory += kRows * kKernel * kLanes;
    rows -= kRows;
  }
  if constexpr (kRows > 1)
    if (rows > 0) accumulate_rows<kKernel, kStride, kPartial, kRows - 1>(rows, l, n, memory);
}

// Adds the sums of one vector of channels to dw, or starts it with them, and clears them.
template <int kTaps, bool kPartial>
void flush(float* sums, float* dw, int64_t channels, int n, bool first) {
  for (int tap = 0; tap < kTaps; ++tap) {
    V v = load(sums + tap * kLanes);
    if (!first) v = hn::Add(load_some<kPartial>(dw + tap * channels, n), v);
    store_some<kPartial>(v, dw + tap * channels, n);
    store(zero(), sums + tap * kLanes);
  }
}

// Vectors of channels that one task takes through the image together.
template <int kKernel>
constexpr int kVectorsAtOnce = kKernel == 7 ? 6 : 12;

// The channels [c0, c1) of dw, kVectorsAtOnce vectors at most, summed over lines [line0, line1) of
// dy: all of them for some lines, then for the next.
template <int kKernel, int kStride>
void grad_channels(const KernelArgs& args, int64_t line0, int64_t line1, int64_t c0, int64_t c1,
                   float* dw) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor x = args.input(0), dy = args.input(1);
  const int64_t channels = x.shape[3], height = x.shape[1], width = x.shape[2];
  const int64_t out_h = dy.shape[1];
  constexpr int kTaps = kKernel * kKernel;
  HWY_ALIGN float sums[kVectorsAtOnce<kKernel> * kTaps * kLanes] = {};
  GradLines l;
  l.x_row = width * channels;
  l.outputs = dy.shape[2], l.columns = width, l.channels = channels, l.x0 = -a.pad_left;
  // The geometry alone decides how many lines are a block.
  const int64_t block = std::max<int64_t>(1, 128 / l.outputs);
  // Lines whose windows lie within the height.
  const int64_t inner_begin = (a.pad_top + kStride - 1) / kStride;
  const int64_t inner_end = height < kKernel ? 0 : (height - kKernel + a.pad_top) / kStride + 1;
  for (int64_t line = line0; line < line1; line += l.lines) {
    const int64_t n_image = line / out_h, row = line % out_h, y0 = row * kStride - a.pad_top;
    const int64_t begin = std::max<int64_t>(0, -y0);
    const int64_t end = std::min<int64_t>(kKernel, height - y0);
    const int64_t block_end = std::min(line0 + ((line - line0) / block + 1) * block, line1);
    l.lines = 1;
    if (row >= inner_begin && row < inner_end)
      l.lines = std::min(block_end - line, std::min(inner_end, out_h) - row);
    l.dy_ahead = l.lines * l.outputs * channels;
    l.x_ahead = (l.lines * kStride + kKernel - kStride) * l.x_row;
    const bool first = line < line0 + block, last = line + l.lines == block_end;
    float* to = sums;
    for (int64_t c = c0; c < c1; c += kLanes, to += kTaps * kLanes) {
      const int n = static_cast<int>(std::min<int64_t>(kLanes, c1 - c));
      l.dy = dy.as<float>() + line * l.outputs * channels + c;
      l.x = x.as<float>() + (n_image * height + y0 + begin) * width * channels + c;
      const int rows = static_cast<int>(end - begin);
      if (n == kLanes) {
        if (rows > 0)
          accumulate_rows<kKernel, kStride, false>(rows, l, n, to + begin * kKernel * kLanes);
        if (last) flush<kTaps, false>(to, dw + c, channels, n, first);
      } else {
        if (rows > 0)
          accumulate_rows<kKernel, kStride, true>(rows, l, n, to + begin * kKernel * kLanes);
        if (last) flush<kTaps, true>(to, dw + c, channels, n, first);
      }
    }
  }
}

// Lines of dy in up to four parts of at least seven, each with a sum of its own: then a thread
// reads the lines that it wrote itself in the steps before. Their number alone decides.
struct LineParts {
  int64_t lines, count, size;
  explicit LineParts(const Shape& dy)
      : lines(dy.product(0, 2)), count(std::clamp<int64_t>(lines / 7, 1, 4)) {
    size = (lines + count - 1) / count;
  }
  int64_t begin(int64_t part) const { return std::min(part * size, lines); }
};

template <int kKernel, int kStride>
void grad_weight_of(const KernelArgs& args) {
  const int64_t channels = args.input(0).shape[3], vectors = (channels + kLanes - 1) / kLanes;
  const LineParts parts(args.input(1).shape);
  const int64_t threads = args.pool->threads();
  const int64_t groups =
      std::max((threads + parts.count - 1) / parts.count,
               (vectors + kVectorsAtOnce<kKernel> - 1) / kVectorsAtOnce<kKernel>);
  const int64_t of_group = (vectors + groups - 1) / groups * kLanes;
  float* const dw = args.output(0).as<float>();
  const int64_t elements = args.output(0).shape.elements();
  float* const sums = static_cast<float*>(args.workspace);  // of all parts but the first
  args.pool->parallel_for(parts.count * groups, 1, [&](int64_t task, int64_t) {
    const int64_t part = task / groups, c0 = task % groups * of_group;
    if (c0 < channels)
      grad_channels<kKernel, kStride>(args, parts.begin(part), parts.begin(part + 1), c0,
                                      std::min(c0 + of_group, channels),
                                      part == 0 ? dw : sums + (part - 1) * elements);
  });
  for (int64_t part = 1; part < parts.count; ++part)
    add_rows(sums + (part - 1) * elements, 1, elements, dw);
}

size_t grad_weight_workspace(const KernelArgs& args, int) {
  return static_cast<size_t>((LineParts(args.input(1).shape).count - 1) *
                             args.output(0).shape.elements()) *
         sizeof(float);
}

void grad_weight(const KernelArgs& args) {
  const int kernel = args.output(0).shape[0];
  const bool wide = args.attributes<Conv2dAttrs>().stride_h == 2;
  if (kernel == 3) wide ? grad_weight_of<3, 2>(args) : grad_weight_of<3, 1>(args);
  if (kernel == 5) wide ? grad_weight_of<5, 2>(args) : grad_weight_of<5, 1>(args);
  if (kernel == 7) wide ? grad_weight_of<7, 2>(args) : grad_weight_of<7, 1>(args);
}

constexpr Kernel kForward{forward, depthwise_supports, nullptr, nullptr, nullptr};
constexpr Kernel kGradInput{grad_input, depthwise_supports, grad_input_workspace, nullptr, nullptr};
constexpr Kernel kGradWeight{grad_weight, depthwise_supports, grad_weight_workspace, nullptr,
                             nullptr};

}  // namespace

const Kernel* find_depthwise_conv2d_here(Op op) {
  if (is<Op::depthwise_conv2d>(op)) return &kForward;
  if (is<Op::depthwise_conv2d_grad_input>(op)) return &kGradInput;
  if (is<Op::depthwise_conv2d_grad_weight>(op)) return &kGradWeight;
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
ATTUNE_FIND_FOR_PROCESSOR(find_depthwise_conv2d)
#endif
