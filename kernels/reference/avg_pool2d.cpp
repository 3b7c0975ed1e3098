#include <algorithm>

#include "kernels/attrs.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/table.h"
#include "kernels/reference/window.h"

namespace attune::reference {
namespace {

// The elements that the average of output (oh, ow) is over: those of the image, and with
// `count_padding` those of the padding, but never what lies beyond that.
int64_t divisor(const Pool2dAttrs& attrs, const Image& in, const Window& win_h, const Window& win_w,
                int64_t oh, int64_t ow) {
  if (!attrs.count_padding) return win_h.taps(oh, 0, in.h).size() * win_w.taps(ow, 0, in.w).size();
  return win_h.taps(oh, -attrs.pad_top, in.h + attrs.pad_bottom).size() *
         win_w.taps(ow, -attrs.pad_left, in.w + attrs.pad_right).size();
}

}  // namespace

// A window without elements gives 0.
template <class T>
void avg_pool2d(const KernelArgs& args) {
  const auto& attrs = args.attributes<Pool2dAttrs>();
  const Image in(args.input(0).shape), out(args.output(0).shape);
  const Window win_h = window_h(attrs, attrs.kernel_h), win_w = window_w(attrs, attrs.kernel_w);
  const T* x = args.input(0).as<T>();
  T* y = args.output(0).as<T>();

  args.pool->parallel_for(out.n * out.h, 1, [&](int64_t row, int64_t) {
    const int64_t n = row / out.h, oh = row % out.h;
    const Range kh = win_h.taps(oh, 0, in.h);
    for (int64_t ow = 0; ow < out.w; ++ow) {
      const Range kw = win_w.taps(ow, 0, in.w);
      T* sum = y + (row * out.w + ow) * out.c;
      std::fill_n(sum, out.c, T(0));
      for (int64_t a = kh.begin; a < kh.end; ++a) {
        for (int64_t b = kw.begin; b < kw.end; ++b) {
          const T* s = x + in.row(n, win_h.source(oh, a)) + win_w.source(ow, b) * in.c;
          for (int64_t c = 0; c < out.c; ++c) sum[c] += s[c];
        }
      }
      const int64_t count = divisor(attrs, in, win_h, win_w, oh, ow);
      if (count == 0) continue;
      for (int64_t c = 0; c < out.c; ++c) sum[c] /= static_cast<T>(count);
    }
  });
}
ATTUNE_INSTANTIATE(avg_pool2d)

// dx[n,h,w,c] = sum over the windows that hold it of dy / elements of the window, in the order of
// the taps.
template <class T>
void avg_pool2d_grad(const KernelArgs& args) {
  const auto& attrs = args.attributes<Pool2dAttrs>();
  const Image out(args.input(0).shape), in(args.output(0).shape);
  const Window win_h = window_h(attrs, attrs.kernel_h), win_w = window_w(attrs, attrs.kernel_w);
  const T* dy = args.input(0).as<T>();
  T* dx = args.output(0).as<T>();

  args.pool->parallel_for(in.n * in.h, 1, [&](int64_t row, int64_t) {
    T* target = dx + row * in.w * in.c;
    std::fill_n(target, in.w * in.c, T(0));
    for (int64_t kh = 0; kh < win_h.size; ++kh) {
      const int64_t oh = win_h.output_of(row % in.h, kh, out.h);
      if (oh < 0) continue;
      const T* source = dy + out.row(row / in.h, oh);
      for (int64_t kw = 0; kw < win_w.size; ++kw) {
        const Range range = win_w.outputs(kw, out.w, in.w);
        for (int64_t ow = range.begin; ow < range.end; ++ow) {
          const T count = static_cast<T>(divisor(attrs, in, win_h, win_w, oh, ow));
          const T* s = source + ow * out.c;
          T* t = target + win_w.source(ow, kw) * in.c;
          for (int64_t c = 0; c < in.c; ++c) t[c] += s[c] / count;
        }
      }
    }
  });
}
ATTUNE_INSTANTIATE(avg_pool2d_grad)

}  // namespace attune::reference
