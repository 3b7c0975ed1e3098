#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/max_pool2d.cpp"
#include <hwy/foreach_target.h>
//
#include <algorithm>
#include <limits>

#include "kernels/reference/window.h"
#include "kernels/simd/kernels.h"
#include "kernels/simd/vector-inl.h"

// The largest of a window, vectors of channels at a time, and its gradient: dx takes the dy of
// every window that names it, window after window. What the reference kernels promise of equals,
// NaN and empty windows holds here too.
HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {
namespace {

using reference::Range, reference::window_h, reference::window_w;

using DI = hn::RebindToSigned<D>;
using VI = hn::Vec<DI>;

template <bool kPartial>
HWY_INLINE VI load_indices(const int32_t* p, int n) {
  if constexpr (!kPartial) return hn::LoadU(DI(), p);
  HWY_ALIGN int32_t buffer[kLanes] = {};
  for (int i = 0; i < n; ++i) buffer[i] = p[i];
  return hn::Load(DI(), buffer);
}

template <bool kPartial>
HWY_INLINE void store_indices(VI v, int32_t* p, int n) {
  if constexpr (!kPartial) {
    hn::StoreU(v, DI(), p);
  } else {
    HWY_ALIGN int32_t buffer[kLanes];
    hn::Store(v, DI(), buffer);
    for (int i = 0; i < n; ++i) p[i] = buffer[i];
  }
}

// Calls f(first channel, how many of a vector) for whole vectors as f<false>, for the rest as
// f<true>.
template <class F>
HWY_INLINE void for_vectors(int64_t channels, F f) {
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes) f.template run<false>(c, kLanes);
  if (c < channels) f.template run<true>(c, static_cast<int>(channels - c));
}

// ---- Forward -----------------------------------------------------------------------------------

// One window: its taps are lines of `columns` pixels, `line_step` and `column_step` elements apart.
struct MaxOfWindow {
  const float* x;
  int64_t lines, columns, line_step, column_step;
  int64_t index, line_index, column_index;  // of the first tap in its image, and from tap to tap
  float* y;
  int32_t* argmax;

  template <bool kPartial>
  HWY_INLINE void run(int64_t c, int n) {
    const DI di;
    V best = repeat(-std::numeric_limits<float>::infinity());
    VI at = hn::Set(di, -1);
    for (int64_t i = 0; i < lines; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        const V v = load_some<kPartial>(x + i * line_step + j * column_step + c, n);
        const VI here =
            hn::Set(di, static_cast<int32_t>(index + i * line_index + j * column_index));
        if (i == 0 && j == 0) {
          best = v, at = here;
          continue;
        }
        // Not `>`, so that a NaN wins; once there, it stays.
        const auto wins = hn::AndNot(hn::Le(v, best), hn::Eq(best, best));
        best = hn::IfThenElse(wins, v, best);
        at = hn::IfThenElse(hn::RebindMask(di, wins), here, at);
      }
    }
    store_some<kPartial>(best, y + c, n);
    if (argmax) store_indices<kPartial>(at, argmax + c, n);
  }
};

void forward(const KernelArgs& args) {
  const auto& a = args.attributes<Pool2dAttrs>();
  const Shape in = args.input(0).shape, out = args.output(0).shape;
  const int64_t height = in[1], width = in[2], channels = in[3], out_h = out[1], out_w = out[2];
  const auto win_h = window_h(a, a.kernel_h), win_w = window_w(a, a.kernel_w);
  const float* x = args.input(0).as<float>();
  float* y = args.output(0).as<float>();
  int32_t* argmax = args.output(1).as<int32_t>();
  args.pool->parallel_for(out[0] * out_h, 1, [&](int64_t line, int64_t) {
    const int64_t n = line / out_h, oh = line % out_h;
    const Range rows = win_h.taps(oh, 0, height);
    const int64_t row = win_h.source(oh, rows.begin);
    for (int64_t ow = 0; ow < out_w; ++ow) {
      const Range taps = win_w.taps(ow, 0, width);
      const int64_t column = win_w.source(ow, taps.begin);
      const int64_t target = (line * out_w + ow) * channels;
      MaxOfWindow window;
      window.lines = rows.end - rows.begin;
      window.columns = taps.end - taps.begin;
      const bool empty = window.lines == 0 || window.columns == 0;
      if (empty) window.lines = 0;
      window.x = empty ? x : x + ((n * height + row) * width + column) * channels;
      window.line_step = a.dilation_h * width * channels;
      window.column_step = a.dilation_w * channels;
      window.index = row * width + column;
      window.line_index = a.dilation_h * width, window.column_index = a.dilation_w;
      window.y = y + target;
      window.argmax = argmax ? argmax + target : nullptr;
      for_vectors(channels, window);
    }
  });
}

// ---- Gradient ----------------------------------------------------------------------------------

// One pixel of dx: the windows over it are lines of `columns` outputs.
struct SumOfWindows {
  const float* dy;
  const int32_t* argmax;
  int64_t lines, columns, line_step, column_step;
  int32_t index;  // the pixel's
  float* dx;

  template <bool kPartial>
  HWY_INLINE void run(int64_t c, int n) {
    const DI di;
    V sum = zero();
    for (int64_t i = 0; i < lines; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        const int64_t at = i * line_step + j * column_step + c;
        const auto here = hn::Eq(load_indices<kPartial>(argmax + at, n), hn::Set(di, index));
        const V v = load_some<kPartial>(dy + at, n);
        sum = hn::IfThenElse(hn::RebindMask(D(), here), hn::Add(sum, v), sum);
      }
    }
    store_some<kPartial>(sum, dx + c, n);
  }
};

// Outputs whose windows hold input i, where taps are neighbours.
Range outputs_over(int64_t i, int64_t stride, int64_t pad, int64_t kernel, int64_t outputs) {
  const int64_t last = i + pad, first = last - kernel + 1;
  const int64_t begin = first <= 0 ? 0 : (first + stride - 1) / stride;
  const int64_t end = std::min(last / stride + 1, outputs);
  return {begin, std::max(begin, end)};
}

bool grad_supports(const KernelArgs& args) {
  const auto& a = args.attributes<Pool2dAttrs>();
  return has_elements(args) && a.dilation_h == 1 && a.dilation_w == 1;
}

void grad(const KernelArgs& args) {
  const auto& a = args.attributes<Pool2dAttrs>();
  const Shape out = args.input(0).shape, in = args.output(0).shape;
  const int64_t height = in[1], width = in[2], channels = in[3], out_h = out[1], out_w = out[2];
  const float* dy = args.input(0).as<float>();
  const int32_t* argmax = args.input(1).as<int32_t>();
  float* dx = args.output(0).as<float>();
  args.pool->parallel_for(in[0] * height, 1, [&](int64_t line, int64_t) {
    const int64_t n = line / height, h = line % height;
    const Range rows = outputs_over(h, a.stride_h, a.pad_top, a.kernel_h, out_h);
    for (int64_t w = 0; w < width; ++w) {
      const Range columns = outputs_over(w, a.stride_w, a.pad_left, a.kernel_w, out_w);
      SumOfWindows pixel;
      pixel.lines = rows.end - rows.begin;
      pixel.columns = columns.end - columns.begin;
      const bool empty = pixel.lines == 0 || pixel.columns == 0;
      if (empty) pixel.lines = 0;
      const int64_t first =
          empty ? 0 : ((n * out_h + rows.begin) * out_w + columns.begin) * channels;
      pixel.dy = dy + first;
      pixel.argmax = argmax + first;
      pixel.line_step = out_w * channels, pixel.column_step = channels;
      pixel.index = static_cast<int32_t>(h * width + w);
      pixel.dx = dx + (line * width + w) * channels;
      for_vectors(channels, pixel);
    }
  });
}

constexpr Kernel kForward{forward, has_elements, nullptr, nullptr, nullptr};
constexpr Kernel kGrad{grad, grad_supports, nullptr, nullptr, nullptr};

}  // namespace

const Kernel* find_max_pool2d_here(Op op) {
  if (is<Op::max_pool2d>(op)) return &kForward;
  if (is<Op::max_pool2d_grad>(op)) return &kGrad;
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
ATTUNE_FIND_FOR_PROCESSOR(find_max_pool2d)
#endif
