#include <algorithm>
#include <numeric>

#include "attune/thread_pool.h"
#include "kernels/clamp_mask.h"
#include "kernels/eigen/kernels.h"
#include "kernels/eigen/packet.h"
#include "kernels/mask_grad.h"
#include "kernels/reference/window.h"

// Depthwise convolution: vectors run over channels, each lane with a sum of its own. Forward and
// gradient of the input add one tap after the other and skip padding. The gradient of the weight
// adds, image by image and line by line, the sums over the pixels of a line.
namespace attune::eigen {
namespace {

using reference::Range, reference::window_h, reference::window_w;

// Calls f.template operator()<P>(c) for [begin, end) in steps of P packets, or of one scalar at the
// end (P = 0). Every element is computed the same way whichever it is.
template <class T, class F>
void for_channels(int64_t begin, int64_t end, F&& f) {
  int64_t c = begin;
  for (; c + 4 * kLanes<T> <= end; c += 4 * kLanes<T>) f.template operator()<4>(c);
  for (; c + kLanes<T> <= end; c += kLanes<T>) f.template operator()<1>(c);
  for (; c < end; ++c) f.template operator()<0>(c);
}

// P packets of sums, or one scalar.
template <class T, int P>
struct Sums {
  Packet<T> v[P];
  Sums() {
    for (auto& s : v) s = repeat(T(0));
  }
  void add_product(const T* a, const T* b) {
    for (int i = 0; i < P; ++i)
      v[i] = padd(v[i], pmul(load_unaligned(a + i * kLanes<T>), load_unaligned(b + i * kLanes<T>)));
  }
  void add_to(T* y) const {
    for (int i = 0; i < P; ++i)
      store_unaligned(y + i * kLanes<T>, padd(load_unaligned(y + i * kLanes<T>), v[i]));
  }
  void finish(T* y, const T* bias, bool clamps, T min, T max) const {
    for (int i = 0; i < P; ++i) {
      Packet<T> s = v[i];
      if (bias) s = padd(s, load_unaligned(bias + i * kLanes<T>));
      if (clamps) s = pmin(pmax(s, repeat(min)), repeat(max));
      store_unaligned(y + i * kLanes<T>, s);
    }
  }
};

template <class T>
struct Sums<T, 0> {
  T v = 0;
  void add_product(const T* a, const T* b) { v += *a * *b; }
  void add_to(T* y) const { *y += v; }
  void finish(T* y, const T* bias, bool clamps, T min, T max) const {
    T s = v;
    if (bias) s += *bias;
    if (clamps) s = std::min(std::max(s, min), max);
    *y = s;
  }
};

template <class T>
void forward(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor x = args.input(0), w = args.input(1), bias = args.input(2), y = args.output(0);
  const int64_t channels = x.shape[3], height = x.shape[1], width = x.shape[2];
  const int64_t out_h = y.shape[1], out_w = y.shape[2];
  const auto win_h = window_h(a, w.shape[0]), win_w = window_w(a, w.shape[1]);
  const T min = static_cast<T>(a.clamp_min), max = static_cast<T>(a.clamp_max);
  args.pool->parallel_for(x.shape[0] * out_h, 1, [&](int64_t line, int64_t) {
    const int64_t n = line / out_h, oh = line % out_h;
    const int64_t y0 = win_h.source(oh, 0);
    const Range th = win_h.taps(oh, 0, height);
    for (int64_t ow = 0; ow < out_w; ++ow) {
      const int64_t x0 = win_w.source(ow, 0);
      const Range tw = win_w.taps(ow, 0, width);
      for_channels<T>(0, channels, [&]<int P>(int64_t c) {
        Sums<T, P> sums;
        for (int64_t kh = th.begin; kh < th.end; ++kh) {
          const T* x_line =
              x.as<T>() + ((n * height + y0 + kh * a.dilation_h) * width + x0) * channels + c;
          const T* w_line = w.as<T>() + kh * w.shape[1] * channels + c;
          for (int64_t kw = tw.begin; kw < tw.end; ++kw)
            sums.add_product(x_line + kw * a.dilation_w * channels, w_line + kw * channels);
        }
        sums.finish(y.as<T>() + (line * out_w + ow) * channels + c,
                    bias ? bias.as<T>() + c : nullptr, a.clamps(), min, max);
      });
    }
  });
  write_clamp_mask<T>(args, a.clamp_min, a.clamp_max);
}

// The taps that reach one element of dx along an axis: k_i = first + i * step for i in [0, count),
// from dy index at + i * delta. Element h takes tap k from (h + pad - k * dilation) / stride where
// that is whole and inside.
struct Reach {
  int64_t first = 0, step, count = 0, at = 0, delta;
};
Reach reach_of(int64_t h, int64_t stride, int64_t pad, int64_t dilation, int64_t taps,
               int64_t limit) {
  Reach r;
  r.step = stride / std::gcd(stride, dilation);
  r.delta = -(r.step * dilation / stride);
  int64_t k = 0;
  while (k < r.step && (h + pad - k * dilation) % stride != 0) ++k;
  if (k == r.step) return r;
  for (; k < taps; k += r.step) {
    const int64_t at = (h + pad - k * dilation) / stride;
    if (at < 0) break;
    if (at >= limit) continue;
    if (r.count++ == 0) r.first = k, r.at = at;
  }
  return r;
}

template <class T>
void grad_input(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor dy = args.input(0), w = args.input(1), dx = args.output(0);
  const int64_t channels = dx.shape[3], height = dx.shape[1], width = dx.shape[2];
  const int64_t out_h = dy.shape[1], out_w = dy.shape[2];
  args.pool->parallel_for(dx.shape[0] * height, 1, [&](int64_t line, int64_t) {
    const int64_t n = line / height;
    const Reach rh =
        reach_of(line % height, a.stride_h, a.pad_top, a.dilation_h, w.shape[0], out_h);
    for (int64_t col = 0; col < width; ++col) {
      const Reach rw = reach_of(col, a.stride_w, a.pad_left, a.dilation_w, w.shape[1], out_w);
      const T* dy_pixel = dy.as<T>() + ((n * out_h + rh.at) * out_w + rw.at) * channels;
      const T* w_tap = w.as<T>() + (rh.first * w.shape[1] + rw.first) * channels;
      for_channels<T>(0, channels, [&]<int P>(int64_t c) {
        Sums<T, P> sums;
        for (int64_t i = 0; i < rh.count; ++i) {
          const T* dy_line = dy_pixel + i * rh.delta * out_w * channels + c;
          const T* w_line = w_tap + i * rh.step * w.shape[1] * channels + c;
          for (int64_t j = 0; j < rw.count; ++j)
            sums.add_product(dy_line + j * rw.delta * channels, w_line + j * rw.step * channels);
        }
        sums.finish(dx.as<T>() + (line * width + col) * channels + c, nullptr, false, T(0), T(0));
      });
    }
  });
  mask_grad_input<T>(args);
}

template <class T>
void grad_weight(const KernelArgs& args) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Tensor x = args.input(0), dy = args.input(1), dw = args.output(0);
  const int64_t channels = x.shape[3], height = x.shape[1], width = x.shape[2];
  const int64_t out_h = dy.shape[1], out_w = dy.shape[2];
  const auto win_h = window_h(a, dw.shape[0]), win_w = window_w(a, dw.shape[1]);
  // A cache line of channels a task at least.
  args.pool->parallel_for(channels, 64 / sizeof(T), [&](int64_t c_begin, int64_t c_end) {
    for (int64_t tap = 0; tap < dw.shape.product(0, 2); ++tap)
      std::fill(dw.as<T>() + tap * channels + c_begin, dw.as<T>() + tap * channels + c_end, T(0));
    for (int64_t line = 0; line < dy.shape[0] * out_h; ++line) {
      const int64_t n = line / out_h, oh = line % out_h;
      const T* dy_line = dy.as<T>() + line * out_w * channels;
      for (int64_t kh = 0; kh < dw.shape[0]; ++kh) {
        const int64_t h = win_h.source(oh, kh);
        if (h < 0 || h >= height) continue;
        const T* x_line = x.as<T>() + (n * height + h) * width * channels;
        for (int64_t kw = 0; kw < dw.shape[1]; ++kw) {
          const Range pixels = win_w.outputs(kw, out_w, width);
          if (pixels.size() == 0) continue;
          for_channels<T>(c_begin, c_end, [&]<int P>(int64_t c) {
            Sums<T, P> sums;
            for (int64_t ow = pixels.begin; ow < pixels.end; ++ow)
              sums.add_product(x_line + win_w.source(ow, kw) * channels + c,
                               dy_line + ow * channels + c);
            sums.add_to(dw.as<T>() + (kh * dw.shape[1] + kw) * channels + c);
          });
        }
      }
    }
  });
}

template <class T>
constexpr Kernel kForward{forward<T>, has_elements, nullptr, nullptr, nullptr};
template <class T>
constexpr Kernel kGradInput{grad_input<T>, has_elements, nullptr, nullptr, nullptr};
template <class T>
constexpr Kernel kGradWeight{grad_weight<T>, has_elements, nullptr, nullptr, nullptr};

}  // namespace

constexpr KernelPair kDepthwiseConv2d{kForward<float>, kForward<double>};
constexpr KernelPair kDepthwiseConv2dGradInput{kGradInput<float>, kGradInput<double>};
constexpr KernelPair kDepthwiseConv2dGradWeight{kGradWeight<float>, kGradWeight<double>};

}  // namespace attune::eigen
