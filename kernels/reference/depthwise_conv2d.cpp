#include <algorithm>

#include "kernels/attrs.h"
#include "kernels/mask_grad.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/lanes.h"
#include "kernels/reference/table.h"
#include "kernels/reference/window.h"

// One filter a channel. Channels are independent lanes; padding is left out of sums.
namespace attune::reference {

// y[n,oh,ow,c] = bias[c] + sum over (kh, kw) of x[n,h,w,c] * w[kh,kw,c], then clamped.
template <class T>
void depthwise_conv2d(const KernelArgs& args) {
  const auto& attrs = args.attributes<Conv2dAttrs>();
  const Image in(args.input(0).shape), out(args.output(0).shape);
  const Shape& filter = args.input(1).shape;
  const Window win_h = window_h(attrs, filter[0]), win_w = window_w(attrs, filter[1]);
  const T* x = args.input(0).as<T>();
  const T* w = args.input(1).as<T>();
  const T* bias = args.input(2).as<T>();
  T* y = args.output(0).as<T>();

  args.pool->parallel_for(out.n * out.h, 1, [&](int64_t row, int64_t) {
    const int64_t n = row / out.h, oh = row % out.h;
    const Range kh = win_h.taps(oh, 0, in.h);
    for (int64_t c = 0; c < out.c; c += kLanes<T>) {
      with_width<T>(std::min<int64_t>(kLanes<T>, out.c - c), [&](auto width) {
        for (int64_t ow = 0; ow < out.w; ++ow) {
          const Range kw = win_w.taps(ow, 0, in.w);
          T sum[kLanes<T>];
          for (int j = 0; j < width; ++j) sum[j] = bias ? bias[c + j] : T(0);
          for (int64_t a = kh.begin; a < kh.end; ++a) {
            for (int64_t b = kw.begin; b < kw.end; ++b) {
              const T* source = x + in.row(n, win_h.source(oh, a)) + win_w.source(ow, b) * in.c + c;
              const T* factor = w + (a * win_w.size + b) * in.c + c;
              for (int j = 0; j < width; ++j) sum[j] += source[j] * factor[j];
            }
          }
          T* target = y + (row * out.w + ow) * out.c + c;
          for (int j = 0; j < width; ++j) target[j] = sum[j];
        }
      });
    }
  });
  clamp_output<T>(args, attrs);
}
ATTUNE_INSTANTIATE(depthwise_conv2d)

// dx[n,h,w,c] = sum over (kh, kw) of dy[n,oh,ow,c] * w[kh,kw,c], for the outputs that read it.
template <class T>
void depthwise_conv2d_grad_input(const KernelArgs& args) {
  const auto& attrs = args.attributes<Conv2dAttrs>();
  const Image out(args.input(0).shape), in(args.output(0).shape);
  const Shape& filter = args.input(1).shape;
  const Window win_h = window_h(attrs, filter[0]), win_w = window_w(attrs, filter[1]);
  const T* dy = args.input(0).as<T>();
  const T* w = args.input(1).as<T>();
  T* dx = args.output(0).as<T>();

  args.pool->parallel_for(in.n * in.h, 1, [&](int64_t row, int64_t) {
    T* target = dx + row * in.w * in.c;
    std::fill_n(target, in.w * in.c, T(0));
    for (int64_t kh = 0; kh < win_h.size; ++kh) {
      const int64_t oh = win_h.output_of(row % in.h, kh, out.h);
      if (oh < 0) continue;
      const T* source = dy + out.row(row / in.h, oh);
      for (int64_t kw = 0; kw < win_w.size; ++kw) {
        const T* factor = w + (kh * win_w.size + kw) * in.c;
        const Range range = win_w.outputs(kw, out.w, in.w);
        for (int64_t ow = range.begin; ow < range.end; ++ow) {
          T* t = target + win_w.source(ow, kw) * in.c;
          const T* s = source + ow * out.c;
          for (int64_t c = 0; c < in.c; ++c) t[c] += s[c] * factor[c];
        }
      }
    }
  });
  mask_grad_input<T>(args);
}
ATTUNE_INSTANTIATE(depthwise_conv2d_grad_input)

// dw[kh,kw,c] = sum over (n, oh, ow) of dy[n,oh,ow,c] * x[n,h,w,c].
template <class T>
void depthwise_conv2d_grad_weight(const KernelArgs& args) {
  const auto& attrs = args.attributes<Conv2dAttrs>();
  const Image in(args.input(0).shape), out(args.input(1).shape);
  const Shape& filter = args.output(0).shape;
  const Window win_h = window_h(attrs, filter[0]), win_w = window_w(attrs, filter[1]);
  const T* x = args.input(0).as<T>();
  const T* dy = args.input(1).as<T>();
  T* dw = args.output(0).as<T>();

  const int64_t tiles = div_up(in.c, kLanes<T>);
  args.pool->parallel_for(win_h.size * win_w.size * tiles, 1, [&](int64_t task, int64_t) {
    const int64_t tap = task / tiles;
    const int64_t c = task % tiles * kLanes<T>;
    const int64_t kh = tap / win_w.size, kw = tap % win_w.size;
    const Range oh = win_h.outputs(kh, out.h, in.h);
    const Range ow = win_w.outputs(kw, out.w, in.w);
    with_width<T>(std::min<int64_t>(kLanes<T>, in.c - c), [&](auto width) {
      T sum[kLanes<T>] = {};
      for (int64_t n = 0; n < out.n; ++n) {
        for (int64_t row = oh.begin; row < oh.end; ++row) {
          const T* a = dy + out.row(n, row) + c;
          const T* b = x + in.row(n, win_h.source(row, kh)) + c;
          for (int64_t column = ow.begin; column < ow.end; ++column) {
            const T* s = a + column * out.c;
            const T* t = b + win_w.source(column, kw) * in.c;
            for (int j = 0; j < width; ++j) sum[j] += s[j] * t[j];
          }
        }
      }
      T* target = dw + tap * in.c + c;
      for (int j = 0; j < width; ++j) target[j] = sum[j];
    });
  });
}
ATTUNE_INSTANTIATE(depthwise_conv2d_grad_weight)

}  // namespace attune::reference
