#include <algorithm>
#include <limits>

#include "kernels/attrs.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/table.h"
#include "kernels/reference/window.h"

namespace attune::reference {

// The first largest element of each window; a NaN wins. A window of padding alone gives -infinity
// and argmax -1.
template <class T>
void max_pool2d(const KernelArgs& args) {
  const auto& attrs = args.attributes<Pool2dAttrs>();
  const Image in(args.input(0).shape), out(args.output(0).shape);
  const Window win_h = window_h(attrs, attrs.kernel_h), win_w = window_w(attrs, attrs.kernel_w);
  const T* x = args.input(0).as<T>();
  T* y = args.output(0).as<T>();
  int32_t* argmax = args.output(1).as<int32_t>();

  args.pool->parallel_for(out.n * out.h, 1, [&](int64_t row, int64_t) {
    const int64_t n = row / out.h, oh = row % out.h;
    const Range kh = win_h.taps(oh, 0, in.h);
    constexpr int64_t kTile = 64;
    int32_t index[kTile];
    for (int64_t ow = 0; ow < out.w; ++ow) {
      const Range kw = win_w.taps(ow, 0, in.w);
      for (int64_t c = 0; c < out.c; c += kTile) {
        const int64_t width = std::min(kTile, out.c - c);
        const int64_t target = (row * out.w + ow) * out.c + c;
        T* best = y + target;
        std::fill_n(best, width, -std::numeric_limits<T>::infinity());
        std::fill_n(index, width, -1);
        for (int64_t a = kh.begin; a < kh.end; ++a) {
          for (int64_t b = kw.begin; b < kw.end; ++b) {
            const int64_t h = win_h.source(oh, a), w = win_w.source(ow, b);
            const int32_t at = static_cast<int32_t>(h * in.w + w);
            const T* s = x + in.row(n, h) + w * in.c + c;
            for (int64_t j = 0; j < width; ++j) {
              // Not `>`, so that the first element wins over nothing even where it is -infinity;
              // once a NaN is there, it stays.
              const bool wins = index[j] < 0 || (!(s[j] <= best[j]) && best[j] == best[j]);
              best[j] = wins ? s[j] : best[j];
              index[j] = wins ? at : index[j];
            }
          }
        }
        if (argmax) std::copy_n(index, width, argmax + target);
      }
    }
  });
}
ATTUNE_INSTANTIATE(max_pool2d)

// dx[n,h,w,c] = sum of dy over the windows whose largest element it is.
template <class T>
void max_pool2d_grad(const KernelArgs& args) {
  const Image out(args.input(0).shape), in(args.output(0).shape);
  const T* dy = args.input(0).as<T>();
  const int32_t* argmax = args.input(1).as<int32_t>();
  T* dx = args.output(0).as<T>();

  // A thread owns channels of an image, so no two write the same element.
  constexpr int64_t kTile = 16;
  const int64_t tiles = div_up(in.c, kTile);
  args.pool->parallel_for(in.n * tiles, 1, [&](int64_t task, int64_t) {
    const int64_t n = task / tiles, c = task % tiles * kTile;
    const int64_t width = std::min(kTile, in.c - c);
    T* image = dx + n * in.h * in.w * in.c + c;
    for (int64_t pixel = 0; pixel < in.h * in.w; ++pixel)
      std::fill_n(image + pixel * in.c, width, T(0));
    for (int64_t pixel = 0; pixel < out.h * out.w; ++pixel) {
      const int64_t source = (n * out.h * out.w + pixel) * out.c + c;
      for (int64_t j = 0; j < width; ++j) {
        // -1 is a window without elements; memory is safe whatever a damaged plan puts here.
        const int64_t at = argmax[source + j];
        if (at >= 0 && at < in.h * in.w) image[at * in.c + j] += dy[source + j];
      }
    }
  });
}
ATTUNE_INSTANTIATE(max_pool2d_grad)

}  // namespace attune::reference
