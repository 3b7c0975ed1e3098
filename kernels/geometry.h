#pragma once

#include <cstdint>
#include <numeric>
#include <utility>

#include "kernels/kernel.h"

// What several backends ask of operands' shapes: of windows as rows of a matrix, of products, of
// sums over axes.
namespace attune {

// Whether the first inputs and the first output have elements.
inline bool has_elements(const KernelArgs& args) {
  for (int i = 0; i < args.num_inputs; ++i)
    if (i < 2 && args.inputs[i].shape.elements() <= 0) return false;
  return args.output(0).shape.elements() > 0;
}

// ---- Windows -----------------------------------------------------------------------------------

// Whether patches are whole pixels, one after the other.
inline bool is_pointwise(const Conv2dAttrs& a, int64_t kernel_h, int64_t kernel_w) {
  return kernel_h == 1 && kernel_w == 1 && a.stride_h == 1 && a.stride_w == 1 && a.pad_top == 0 &&
         a.pad_left == 0 && a.pad_bottom == 0 && a.pad_right == 0;
}

// One axis of a sliding window: tap t at place i reads index i * stride + offset + t * delta, which
// is padding outside of [0, limit).
struct WindowAxis {
  int64_t count;  // places
  int64_t taps;
  int64_t stride, offset, delta;
  int64_t limit;

  int64_t index(int64_t i, int64_t t) const { return i * stride + offset + t * delta; }
  bool inside(int64_t index) const { return index >= 0 && index < limit; }
};

// The elements of one axis of dx that the same taps of the kernel reach: first, first + stride, ...
// Their taps are first_tap, first_tap + tap_step, ...; `window` says which dy each tap reads.
struct Phase {
  int64_t first_tap = 0, tap_step;
  WindowAxis window;  // window.taps == 0: nothing reaches them
};

// Phase `first` in [0, stride): element h takes tap k from dy index (h + pad - k * dilation) /
// stride where that is whole.
inline Phase phase_of(int64_t first, int64_t stride, int64_t pad, int64_t dilation, int64_t kernel,
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

// One phase of both axes: pixels first_h, first_h + stride_h, ... of lines; the same of columns.
// A row of its product is a pixel.
struct InputPhase {
  const Conv2dAttrs& attrs;
  const Shape& dx;
  int64_t first_h, first_w;
  Phase h, w;
  int64_t outputs;  // of the group
  int64_t rows() const { return dx[0] * h.window.count * w.window.count; }
  int64_t depth() const { return h.window.taps * w.window.taps * outputs; }
  int64_t pixel(int64_t row) const {
    const int64_t j = row % w.window.count, i = row / w.window.count % h.window.count;
    const int64_t n = row / (w.window.count * h.window.count);
    const int64_t line = n * dx[1] + first_h + i * attrs.stride_h;
    return line * dx[2] + first_w + j * attrs.stride_w;
  }
  // The place in w[outputs, kernel_h, kernel_w, :] of a row (tap of h, tap of w, o), flat.
  int64_t weight_row(int64_t row, int64_t kernel_h, int64_t kernel_w) const {
    const int64_t o = row % outputs, tap = row / outputs;
    const int64_t kh = h.first_tap + tap / w.window.taps * h.tap_step;
    const int64_t kw = w.first_tap + tap % w.window.taps * w.tap_step;
    return (o * kernel_h + kh) * kernel_w + kw;
  }
};

// Calls f for all that have pixels: where taps lie a stride apart, dx is made of phases that are
// products of their own.
template <class F>
void for_phases(const KernelArgs& args, F f) {
  const auto& a = args.attributes<Conv2dAttrs>();
  const Shape &dy = args.inputs[0].shape, &w = args.inputs[1].shape, &dx = args.outputs[0].shape;
  for (int64_t h = 0; h < a.stride_h; ++h)
    for (int64_t v = 0; v < a.stride_w; ++v) {
      const InputPhase phase{a,
                             dx,
                             h,
                             v,
                             phase_of(h, a.stride_h, a.pad_top, a.dilation_h, w[1], dx[1], dy[1]),
                             phase_of(v, a.stride_w, a.pad_left, a.dilation_w, w[2], dx[2], dy[2]),
                             w[0] / a.groups};
      if (phase.rows() > 0) f(phase);
    }
}

// ---- Products ----------------------------------------------------------------------------------

struct MatmulSizes {
  int64_t batch, rows, cols, depth;
};

inline MatmulSizes matmul_sizes(const KernelArgs& args) {
  const auto& a = args.attributes<MatmulAttrs>();
  const Shape &y = args.outputs[0].shape, &x = args.inputs[0].shape;
  return {y.product(0, y.rank - 2), y[y.rank - 2], y[y.rank - 1],
          x[x.rank - (a.transpose_a ? 2 : 1)]};
}

inline bool matmul_supports(const KernelArgs& args) {
  return has_elements(args) && args.output(0).shape.rank >= 2 && args.input(0).shape.rank >= 2 &&
         args.input(1).shape.rank >= 2;
}

// ---- Sums --------------------------------------------------------------------------------------

// A tensor seen as [outer, rows, inner], whose rows are summed, or are all the same.
struct RowSizes {
  int64_t outer = 1, rows = 1, inner = 1;
  bool run = true;  // whether the rows' axes are neighbours; axes of size 1 do not matter

  void add(int64_t size, bool is_row) {
    if (size == 1) return;
    if (is_row) {
      if (inner != 1) run = false;
      rows *= size;
    } else {
      (rows == 1 ? outer : inner) *= size;
    }
  }
  // Without rows all is one long row.
  RowSizes joined() const {
    RowSizes s = *this;
    if (rows == 1) std::swap(s.outer, s.inner);
    return s;
  }
};

inline RowSizes reduced_sizes(const KernelArgs& args) {
  const Shape& x = args.inputs[0].shape;
  RowSizes s;
  for (int i = 0; i < x.rank; ++i) s.add(x[i], args.attributes<ReduceAttrs>().axes >> i & 1);
  return s.joined();
}

// Sums along the last axis have no columns to run over. A single column of a matrix is taken,
// though: it may be a slice of a wider one, and has to come out the same.
inline bool reduces_columns(const KernelArgs& args) {
  if (!has_elements(args)) return false;
  const Shape& x = args.inputs[0].shape;
  const bool along_last =
      x.last() > 1 && (args.attributes<ReduceAttrs>().axes >> (x.rank - 1) & 1) != 0;
  return reduced_sizes(args).run && !along_last;
}

}  // namespace attune
