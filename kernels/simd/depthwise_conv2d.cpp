#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/depthwise_conv2d.cpp"
#include <hwy/foreach_target.h>
//
#include <algorithm>
#include <utility>

#include "kernels/simd/kernels.h"
#include "kernels/simd/mask-inl.h"

// Depthwise convolution: vectors run over channels, each lane with a sum of its own, and several
// outputs of a line share what they load. Forward and gradient of the input add one tap after the
// other. The gradient of the weight adds the sums of blocks of lines.
HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {
namespace {

constexpr int kMaxKernel = 7;

bool depthwise_supports(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  if (!has_elements(args)) return false;
  // The weight has three axes, all else four.
  const Shape& out = args.output(0).shape;
  const Shape& w = out.rank == 3 ? out : args.input(1).shape;
  return w[0] == w[1] && (w[0] == 3 || w[0] == 5 || w[0] == 7) && a.stride_h == a.stride_w &&
         (a.stride_h == 1 || a.stride_h == 2) && a.dilation_h == 1 && a.dilation_w == 1;
}

// ---- One line of outputs -----------------------------------------------------------------------

// Output i of the line is the sum over `rows` lines of the input and, for each, over its taps: tap
// t multiplies column x0 + i * step + t. Columns outside of the line are zeros.
struct Line {
  const float* x[kMaxKernel];  // where lines of the input start
  const float* w[kMaxKernel];  // their first taps
  int rows = 0;
  int64_t w_step;  // from a tap to the next
  int64_t columns, x0;
  int64_t channels;
  float* y;
  int64_t y_step, outputs;
  const float* bias = nullptr;
  bool clamps = false;
  float min = 0, max = 0;
  // Where there is one, y is 0 where the mask is not set. Its bits start with y's first; a pixel's
  // are whole bytes. `sums`, if any, gains every output, one after the other.
  const uint8_t* mask = nullptr;
  float* sums = nullptr;
};

// The mask's bits for a vector of the output at element `at`.
template <bool kPartial>
HWY_INLINE V mask_output(V v, const uint8_t* mask, int64_t at) {
  constexpr int kBits = kPartial || kLanes < 8 ? 8 : kLanes;
  return keep(v, load_bits<kBits>(mask + at / 8) >> at % 8);
}

template <bool kBorder, bool kPartial>
HWY_INLINE V load_column(const float* line, int64_t column, const Line& l, int n) {
  if constexpr (kBorder)
    if (column < 0 || column >= l.columns) return zero();
  return load_some<kPartial>(line + column * l.channels, n);
}

template <bool kBorder, bool kPartial, int... J>
HWY_INLINE void load_columns(const float* line, int64_t column, const Line& l, int n, V* x,
                             std::integer_sequence<int, J...>) {
  ((x[J] = load_column<kBorder, kPartial>(line, column + J, l, n)), ...);
}

template <int kStep, int kTap, bool kPartial, int... P>
HWY_INLINE void multiply_tap(const float* w, int64_t w_step, int n, const V* x, V* sums,
                             std::integer_sequence<int, P...>) {
  const V v = load_some<kPartial>(w + kTap * w_step, n);
  ((sums[P] = hn::MulAdd(x[P * kStep + kTap], v, sums[P])), ...);
}

template <int kStep, bool kPartial, class Outputs, int... T>
HWY_INLINE void multiply_taps(const float* w, int64_t w_step, int n, const V* x, V* sums,
                              Outputs outputs, std::integer_sequence<int, T...>) {
  (multiply_tap<kStep, T, kPartial>(w, w_step, n, x, sums, outputs), ...);
}

template <bool kPartial>
HWY_INLINE void finish_output(V v, const Line& l, int64_t i, int64_t c, int n) {
  if (l.bias) v = hn::Add(v, load_some<kPartial>(l.bias + c, n));
  if (l.clamps) v = clamp_vector(v, repeat(l.min), repeat(l.max));
  if (l.mask) v = mask_output<kPartial>(v, l.mask, i * l.y_step + c);
  store_some<kPartial>(v, l.y + i * l.y_step + c, n);
}

// Adds outputs i .. i + kOutputs, as they were stored, from `fresh` on.
template <bool kPartial, int kOutputs>
HWY_INLINE void add_outputs(const Line& l, int64_t i, int64_t fresh, int64_t c, int n) {
  V total = load_some<kPartial>(l.sums + c, n);
  for (int64_t j = std::max(i, fresh); j < i + kOutputs; ++j)
    total = hn::Add(total, load_some<kPartial>(l.y + j * l.y_step + c, n));
  store_some<kPartial>(total, l.sums + c, n);
}

// Outputs i, i + 1, ... for one vector of channels, of which n exist. Those before `fresh` are
// known already.
template <int kTaps, int kStep, bool kBorder, bool kPartial, int... P>
HWY_INLINE void block_vector(const Line& l, int64_t i, int64_t fresh, int64_t c, int n,
                             std::integer_sequence<int, P...> outputs) {
  constexpr int kColumns = (sizeof...(P) - 1) * kStep + kTaps;
  V sums[sizeof...(P)];
  ((sums[P] = zero()), ...);
  for (int r = 0; r < l.rows; ++r) {
    V x[kColumns];
    load_columns<kBorder, kPartial>(l.x[r] + c, l.x0 + i * kStep, l, n, x,
                                    std::make_integer_sequence<int, kColumns>{});
    multiply_taps<kStep, kPartial>(l.w[r] + c, l.w_step, n, x, sums, outputs,
                                   std::make_integer_sequence<int, kTaps>{});
  }
  (finish_output<kPartial>(sums[P], l, i + P, c, n), ...);
  if (l.sums) add_outputs<kPartial, sizeof...(P)>(l, i, fresh, c, n);
}

template <int kTaps, int kStep, bool kBorder, int kOutputs>
HWY_NOINLINE void block_channels(const Line& l, int64_t i, int64_t fresh) {
  constexpr std::make_integer_sequence<int, kOutputs> kSequence;
  int64_t c = 0;
  for (; c + kLanes <= l.channels; c += kLanes)
    block_vector<kTaps, kStep, kBorder, false>(l, i, fresh, c, kLanes, kSequence);
  if (c < l.channels)
    block_vector<kTaps, kStep, kBorder, true>(l, i, fresh, c, static_cast<int>(l.channels - c),
                                              kSequence);
}

template <int kTaps, int kStep, int kOutputs>
HWY_INLINE void block(const Line& l, int64_t i, int64_t fresh) {
  const int64_t first = l.x0 + i * kStep, last = first + (kOutputs - 1) * kStep + kTaps;
  if (first >= 0 && last <= l.columns)
    block_channels<kTaps, kStep, false, kOutputs>(l, i, fresh);
  else
    block_channels<kTaps, kStep, true, kOutputs>(l, i, fresh);
}

// Where a line does not end with a block, the last one computes some outputs again, the same way.
template <int kTaps, int kStep>
void run_line(const Line& l) {
  int64_t i = 0;
#if HWY_TARGET == HWY_AVX3
  for (; i + 7 <= l.outputs; i += 7) block<kTaps, kStep, 7>(l, i, i);
#endif
  for (; i + 4 <= l.outputs; i += 4) block<kTaps, kStep, 4>(l, i, i);
  if (i < l.outputs && l.outputs >= 4) {
    block<kTaps, kStep, 4>(l, l.outputs - 4, i);
    return;
  }
  for (; i < l.outputs; ++i) block<kTaps, kStep, 1>(l, i, i);
}

// ---- Forward -----------------------------------------------------------------------------------

void forward(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor x = args.input(0), w = args.input(1), bias = args.input(2);
  const Tensor y = args.output(0), mask = args.output(1);
  const int64_t channels = x.shape[3], height = x.shape[1], width = x.shape[2];
  const int64_t out_h = y.shape[1], out_w = y.shape[2];
  const int kernel = w.shape[0];
  const float min = static_cast<float>(a.clamp_min), max = static_cast<float>(a.clamp_max);
  const bool fuses_mask = mask && out_w * channels % 8 == 0;
  args.pool->parallel_for(x.shape[0] * out_h, 1, [&](int64_t line, int64_t) {
    const int64_t n = line / out_h, y0 = line % out_h * a.stride_h - a.pad_top;
    Line l;
    for (int kh = 0; kh < kernel; ++kh) {
      if (y0 + kh < 0 || y0 + kh >= height) continue;
      l.x[l.rows] = x.as<float>() + (n * height + y0 + kh) * width * channels;
      l.w[l.rows++] = w.as<float>() + kh * kernel * channels;
    }
    l.w_step = l.channels = l.y_step = channels;
    l.columns = width, l.x0 = -a.pad_left;
    l.y = y.as<float>() + line * out_w * channels;
    l.outputs = out_w;
    l.bias = bias.as<float>();
    l.clamps = a.clamps(), l.min = min, l.max = max;
    if (a.stride_w == 1) {
      if (kernel == 3) run_line<3, 1>(l);
      if (kernel == 5) run_line<5, 1>(l);
      if (kernel == 7) run_line<7, 1>(l);
    } else {
      if (kernel == 3) run_line<3, 2>(l);
      if (kernel == 5) run_line<5, 2>(l);
      if (kernel == 7) run_line<7, 2>(l);
    }
    if (fuses_mask)
      write_mask(l.y, out_w * channels, min, max, mask.as<uint8_t>() + line * out_w * channels / 8);
  });
  if (mask && !fuses_mask)
    write_mask(y.as<float>(), y.shape.elements(), min, max, mask.as<uint8_t>(), *args.pool);
}

// ---- Gradient of the input ---------------------------------------------------------------------

// Element h of dx takes tap k from dy index (h + pad - k) / stride where that is whole: taps first,
// first + stride, ... With a stride of 2 the even and the odd columns of a line are lines by
// themselves.
void grad_input_line(const KernelArgs& args, int64_t line, const uint8_t* mask, float* sums) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor dy = args.input(0), w = args.input(1), dx = args.output(0);
  const int64_t channels = dx.shape[3], height = dx.shape[1], width = dx.shape[2];
  const int64_t out_h = dy.shape[1], out_w = dy.shape[2];
  const int kernel = w.shape[0], stride = a.stride_h;
  const int64_t n = line / height, h = line % height + a.pad_top;
  for (int pw = 0; pw < stride && pw < width; ++pw) {
    const int first = (pw + a.pad_left) % stride;
    const int taps = (kernel - first + stride - 1) / stride;
    Line l;
    for (int64_t kh = h % stride; kh < kernel; kh += stride) {
      const int64_t row = (h - kh) / stride;
      if (h < kh || row >= out_h) continue;
      l.x[l.rows] = dy.as<float>() + (n * out_h + row) * out_w * channels;
      l.w[l.rows++] = w.as<float>() + (kh * kernel + first + (taps - 1) * stride) * channels;
    }
    l.w_step = -stride * channels;
    l.channels = channels;
    l.columns = out_w;
    l.x0 = (pw + a.pad_left - first) / stride - (taps - 1);
    l.y = dx.as<float>() + (line * width + pw) * channels;
    l.y_step = stride * channels;
    l.sums = sums;
    if (mask) l.mask = mask + (l.y - dx.as<float>()) / 8;
    l.outputs = (width - pw + stride - 1) / stride;
    if (taps == 1) run_line<1, 1>(l);
    if (taps == 2) run_line<2, 1>(l);
    if (taps == 3) run_line<3, 1>(l);
    if (taps == 4) run_line<4, 1>(l);
    if (taps == 5) run_line<5, 1>(l);
    if (taps == 7) run_line<7, 1>(l);
  }
}

// Lines that one task computes and sums: kSumRows pixels or so, fewer where the image is small.
int64_t lines_of_block(const Shape& dx) {
  const int64_t lines = dx.product(0, 2);
  return std::clamp<int64_t>(kSumRows / dx[2], 1, (lines + 13) / 14);
}

int64_t line_blocks(const Shape& dx) {
  const int64_t block = lines_of_block(dx);
  return (dx.product(0, 2) + block - 1) / block;
}

size_t grad_input_workspace(const KernelArgs& args, int) {
  const Shape& dx = args.output(0).shape;
  if (args.num_outputs < 2) return 0;
  return BlockSums::bytes(std::max(line_blocks(dx), sum_blocks(dx.product(0, 3))), dx[3]);
}

void grad_input(const KernelArgs& args) {
  const Tensor dx = args.output(0), mask = args.input(2);
  const int64_t channels = dx.shape[3], width = dx.shape[2], lines = dx.shape.product(0, 2);
  const MaskedGrad grad{dx.as<float>(), mask.as<uint8_t>(), dx.as<float>(), lines * width,
                        channels};
  const BlockSums sums{args.output(1) ? static_cast<float*>(args.workspace) : nullptr, channels};
  const bool fuses_mask = mask && grad.rows_are_bytes();
  const int64_t block = lines_of_block(dx.shape);
  args.pool->parallel_for(lines, block, [&](int64_t begin, int64_t end) {
    float* const of_block = fuses_mask ? sums.start(begin / block, 0, channels) : nullptr;
    for (int64_t line = begin; line < end; ++line)
      grad_input_line(args, line, fuses_mask ? grad.mask : nullptr, of_block);
  });
  if (fuses_mask)
    sums.finish(line_blocks(dx.shape), args.output(1).as<float>());
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
};

// Sum J is that of row J / kKernel, tap J % kKernel.
template <int kKernel, bool kBorder, bool kPartial, int J>
HWY_INLINE void multiply_element(const GradLines& l, const float* x, int64_t column, V dy, int n,
                                 V* sums) {
  constexpr int kTap = J % kKernel;
  if constexpr (kBorder)
    if (column + kTap < 0 || column + kTap >= l.columns) return;
  const float* from = x + J / kKernel * l.x_row + (column + kTap) * l.channels;
  sums[J] = hn::MulAdd(load_some<kPartial>(from, n), dy, sums[J]);
}

template <int kKernel, int kStride, bool kBorder, bool kPartial, int... J>
HWY_INLINE void multiply_outputs(const GradLines& l, const float* x, const float* dy, int64_t begin,
                                 int64_t end, int n, V* sums, std::integer_sequence<int, J...>) {
  for (int64_t i = begin; i < end; ++i) {
    const V v = load_some<kPartial>(dy + i * l.channels, n);
    (multiply_element<kKernel, kBorder, kPartial, J>(l, x, l.x0 + i * kStride, v, n, sums), ...);
  }
}

// Adds the products of the lines to the sums of some rows of the kernel, kLanes floats each.
template <int kKernel, int kStride, bool kPartial, int... J>
HWY_NOINLINE void accumulate(const GradLines& l, int n, float* memory,
                             std::integer_sequence<int, J...> all) {
  V sums[sizeof...(J)];
  ((sums[J] = load(memory + J * kLanes)), ...);
  // Outputs [begin, end) see no border.
  const int64_t begin = std::min((std::max<int64_t>(-l.x0, 0) + kStride - 1) / kStride, l.outputs);
  const int64_t room = l.columns - kKernel - l.x0;
  const int64_t end = std::max(begin, room < 0 ? 0 : std::min(room / kStride + 1, l.outputs));
  const float *x = l.x, *dy = l.dy;
  for (int64_t line = 0; line < l.lines; ++line) {
    multiply_outputs<kKernel, kStride, true, kPartial>(l, x, dy, 0, begin, n, sums, all);
    multiply_outputs<kKernel, kStride, false, kPartial>(l, x, dy, begin, end, n, sums, all);
    multiply_outputs<kKernel, kStride, true, kPartial>(l, x, dy, end, l.outputs, n, sums, all);
    x += kStride * l.x_row;
    dy += l.outputs * l.channels;
  }
  (store(sums[J], memory + J * kLanes), ...);
}

// Rows of the kernel whose sums fit into registers.
template <int kKernel>
constexpr int kRowsAtOnce = HWY_TARGET == HWY_AVX3 ? (kKernel == 7 ? 3 : kKernel)
                                                   : (kKernel == 3   ? 3
                                                      : kKernel == 5 ? 2
                                                                     : 1);

template <int kKernel, int kStride, bool kPartial, int kRows = kRowsAtOnce<kKernel>>
void accumulate_rows(int rows, GradLines l, int n, float* memory) {
  while (rows >= kRows) {
    accumulate<kKernel, kStride, kPartial>(l, n, memory,
                                           std::make_integer_sequence<int, kRows * kKernel>{});
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
// Images (x and dy) that do not stay in the cache while every vector of channels walks through
// them.
constexpr int64_t kLargeImage = 1 << 14;

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
  if (op == Op::depthwise_conv2d) return &kForward;
  if (op == Op::depthwise_conv2d_grad_input) return &kGradInput;
  if (op == Op::depthwise_conv2d_grad_weight) return &kGradWeight;
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune::simd {
HWY_EXPORT(find_depthwise_conv2d_here);
const Kernel* find_depthwise_conv2d(Op op) {
  return HWY_DYNAMIC_DISPATCH(find_depthwise_conv2d_here)(op);
}
}  // namespace attune::simd
#endif
