#include <algorithm>

#include "kernels/attrs.h"
#include "kernels/mask_grad.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/multiply_add.h"
#include "kernels/reference/table.h"
#include "kernels/reference/window.h"

// Every output element is one sum, in an order that only the operator's definition decides. Padding
// is left out of sums. Rows of an image are split among the threads in blocks of kRowBlock.
namespace attune::reference {
namespace {

constexpr int64_t kRowBlock = 8;

// A weight [O, KH, KW, I], I being the input channels of one group.
struct Filter {
  int64_t o, h, w, i, groups;

  Filter(const Shape& shape, const Conv2dAttrs& attrs)
      : o(shape[0]), h(shape[1]), w(shape[2]), i(shape[3]), groups(attrs.groups) {}
  int64_t group_outputs() const { return o / groups; }
  int64_t taps() const { return h * w; }
};

// Cuts the channels of each group into tiles of up to kLanes.
template <class T>
struct ChannelTiles {
  int64_t group_channels, tiles_per_group;

  explicit ChannelTiles(int64_t channels_of_group)
      : group_channels(channels_of_group), tiles_per_group(div_up(channels_of_group, kLanes<T>)) {}
  int64_t group(int64_t tile) const { return tile / tiles_per_group; }
  // The first channel, counted within its group.
  int64_t begin(int64_t tile) const { return tile % tiles_per_group * kLanes<T>; }
  int64_t width(int64_t tile) const {
    return std::min<int64_t>(kLanes<T>, group_channels - begin(tile));
  }
};

}  // namespace

// y[n,oh,ow,o] = bias[o] + sum over (kh, kw, i) of x[n,h,w,i] * w[o,kh,kw,i], then clamped.
template <class T>
void conv2d(const KernelArgs& args) {
  const auto& attrs = args.attributes<Conv2dAttrs>();
  const Image in(args.input(0).shape), out(args.output(0).shape);
  const Filter filter(args.input(1).shape, attrs);
  const Window win_h = window_h(attrs, filter.h), win_w = window_w(attrs, filter.w);
  const T* x = args.input(0).as<T>();
  const T* w = args.input(1).as<T>();
  const T* bias = args.input(2).as<T>();
  T* y = args.output(0).as<T>();

  const ChannelTiles<T> tiles(filter.group_outputs());
  const int64_t row_blocks = div_up(out.n * out.h, kRowBlock);
  const int64_t tap_size = filter.taps() * filter.i;

  args.pool->parallel_for(
      filter.groups * tiles.tiles_per_group * row_blocks, 1, [&](int64_t task, int64_t) {
        const int64_t tile = task / row_blocks;
        const int64_t first_row = task % row_blocks * kRowBlock;
        const int64_t last_row = std::min(first_row + kRowBlock, out.n * out.h);
        const int64_t group = tiles.group(tile);
        const int64_t o = group * tiles.group_channels + tiles.begin(tile);
        const int64_t width = tiles.width(tile);

        for (int64_t pixel = first_row * out.w; pixel < last_row * out.w; ++pixel)
          for (int64_t j = 0; j < width; ++j) y[pixel * out.c + o + j] = bias ? bias[o + j] : T(0);

        Panel<T> panel;
        MultiplyAdd<T> p;
        p.width = width;
        p.a_row = win_w.stride * in.c;
        p.b = panel.data;
        p.b_row = kLanes<T>;
        p.y_row = out.c;
        for (int64_t kh = 0; kh < filter.h; ++kh) {
          for (int64_t kw = 0; kw < filter.w; ++kw) {
            const Range ow = win_w.outputs(kw, out.w, in.w);
            p.rows = ow.size();
            if (p.rows == 0) continue;
            for (int64_t i = 0; i < filter.i; i += kPanelRows) {
              p.depth = std::min(kPanelRows, filter.i - i);
              panel.pack(w + o * tap_size + (kh * filter.w + kw) * filter.i + i, tap_size, p.depth,
                         width);
              for (int64_t row = first_row; row < last_row; ++row) {
                const int64_t h = win_h.source(row % out.h, kh);
                if (h < 0 || h >= in.h) continue;
                p.a = x + in.row(row / out.h, h) + win_w.source(ow.begin, kw) * in.c +
                      group * filter.i + i;
                p.y = y + (row * out.w + ow.begin) * out.c + o;
                multiply_add(p);
              }
            }
          }
        }
      });
  clamp_output<T>(args, attrs);
}
ATTUNE_INSTANTIATE(conv2d)

// dx[n,h,w,i] = sum over (kh, kw, o) of dy[n,oh,ow,o] * w[o,kh,kw,i], for the outputs that read it.
template <class T>
void conv2d_grad_input(const KernelArgs& args) {
  const auto& attrs = args.attributes<Conv2dAttrs>();
  const Image out(args.input(0).shape), in(args.output(0).shape);
  const Filter filter(args.input(1).shape, attrs);
  const Window win_h = window_h(attrs, filter.h), win_w = window_w(attrs, filter.w);
  const T* dy = args.input(0).as<T>();
  const T* w = args.input(1).as<T>();
  T* dx = args.output(0).as<T>();

  const ChannelTiles<T> tiles(filter.i);
  const int64_t row_blocks = div_up(in.n * in.h, kRowBlock);
  const int64_t tap_size = filter.taps() * filter.i;

  args.pool->parallel_for(
      filter.groups * tiles.tiles_per_group * row_blocks, 1, [&](int64_t task, int64_t) {
        const int64_t tile = task / row_blocks;
        const int64_t first_row = task % row_blocks * kRowBlock;
        const int64_t last_row = std::min(first_row + kRowBlock, in.n * in.h);
        const int64_t group = tiles.group(tile);
        const int64_t i = tiles.begin(tile);
        const int64_t channel = group * filter.i + i;
        const int64_t first_output = group * filter.group_outputs();

        MultiplyAdd<T> p;
        p.width = tiles.width(tile);
        p.depth = filter.group_outputs();
        p.a_row = out.c;
        p.b_row = tap_size;
        p.y_row = win_w.stride * in.c;
        for (int64_t row = first_row; row < last_row; ++row) {
          for (int64_t column = 0; column < in.w; ++column)
            std::fill_n(dx + (row * in.w + column) * in.c + channel, p.width, T(0));
          for (int64_t kh = 0; kh < filter.h; ++kh) {
            const int64_t oh = win_h.output_of(row % in.h, kh, out.h);
            if (oh < 0) continue;
            for (int64_t kw = 0; kw < filter.w; ++kw) {
              const Range ow = win_w.outputs(kw, out.w, in.w);
              p.rows = ow.size();
              if (p.rows == 0) continue;
              p.a = dy + out.row(row / in.h, oh) + ow.begin * out.c + first_output;
              p.b = w + first_output * tap_size + (kh * filter.w + kw) * filter.i + i;
              p.y = dx + (row * in.w + win_w.source(ow.begin, kw)) * in.c + channel;
              multiply_add(p);
            }
          }
        }
      });
  mask_grad_input<T>(args);
}
ATTUNE_INSTANTIATE(conv2d_grad_input)

template <class T>
void conv2d_transpose(const KernelArgs& args) {
  conv2d_grad_input<T>(args);
}
ATTUNE_INSTANTIATE(conv2d_transpose)

// dw[o,kh,kw,i] = sum over (n, oh, ow) of dy[n,oh,ow,o] * x[n,h,w,i]. A slice of x or dy gives the
// same bits as the slice of the whole dw.
template <class T>
void conv2d_grad_weight(const KernelArgs& args) {
  const auto& attrs = args.attributes<Conv2dAttrs>();
  const Image in(args.input(0).shape), out(args.input(1).shape);
  const Filter filter(args.output(0).shape, attrs);
  const Window win_h = window_h(attrs, filter.h), win_w = window_w(attrs, filter.w);
  const T* x = args.input(0).as<T>();
  const T* dy = args.input(1).as<T>();
  T* dw = args.output(0).as<T>();

  constexpr int64_t kOutputBlock = 16;
  const ChannelTiles<T> tiles(filter.i);
  const int64_t output_blocks = div_up(filter.group_outputs(), kOutputBlock);
  const int64_t tap_size = filter.taps() * filter.i;

  args.pool->parallel_for(filter.groups * tiles.tiles_per_group * output_blocks, 1,
                          [&](int64_t task, int64_t) {
                            const int64_t tile = task / output_blocks;
                            const int64_t group = tiles.group(tile);
                            const int64_t i = tiles.begin(tile);
                            const int64_t o = task % output_blocks * kOutputBlock;
                            const int64_t output = group * filter.group_outputs() + o;

                            MultiplyAdd<T> p;
                            p.rows = std::min(kOutputBlock, filter.group_outputs() - o);
                            p.width = tiles.width(tile);
                            p.a_row = 1;
                            p.a_col = out.c;
                            p.b_row = win_w.stride * in.c;
                            p.y_row = tap_size;
                            for (int64_t kh = 0; kh < filter.h; ++kh) {
                              const Range oh = win_h.outputs(kh, out.h, in.h);
                              for (int64_t kw = 0; kw < filter.w; ++kw) {
                                const Range ow = win_w.outputs(kw, out.w, in.w);
                                p.depth = ow.size();
                                p.y = dw + output * tap_size + (kh * filter.w + kw) * filter.i + i;
                                for (int64_t r = 0; r < p.rows; ++r)
                                  std::fill_n(p.y + r * p.y_row, p.width, T(0));
                                if (p.depth == 0) continue;
                                for (int64_t n = 0; n < out.n; ++n) {
                                  for (int64_t row = oh.begin; row < oh.end; ++row) {
                                    p.a = dy + out.row(n, row) + ow.begin * out.c + output;
                                    p.b = x + in.row(n, win_h.source(row, kh)) +
                                          win_w.source(ow.begin, kw) * in.c + group * filter.i + i;
                                    multiply_add(p);
                                  }
                                }
                              }
                            }
                          });
}
ATTUNE_INSTANTIATE(conv2d_grad_weight)

}  // namespace attune::reference
