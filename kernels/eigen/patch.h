#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/geometry.h"

// What convolutions multiply, as rows of a matrix that is never stored.
namespace attune::eigen {

// Row (n, i, j), flat, holds the elements (tap of h, tap of w, channel), flat. See gemm.h for
// `runs`.
template <class T>
struct PatchRows {
  const T* data;
  WindowAxis h, w;
  int64_t channels;      // of the group
  int64_t pixel_stride;  // channels of all groups

  template <class F>
  void runs(int64_t row, int64_t begin, int64_t end, F&& f) const {
    const int64_t j = row % w.count, i = row / w.count % h.count;
    const T* image = data + row / (w.count * h.count) * h.limit * w.limit * pixel_stride;
    int64_t tap = begin / channels, channel = begin % channels;
    int64_t th = tap / w.taps, tw = tap % w.taps;
    // Neighbouring taps are neighbours in memory.
    const bool joins = w.delta == 1 && pixel_stride == channels;
    for (int64_t at = begin; at < end;) {
      const int64_t y = h.index(i, th), x = w.index(j, tw);
      const bool line = h.inside(y);
      const bool inside = line && w.inside(x);
      int64_t taps = 1;
      if (!line)
        taps = w.taps - tw;
      else if (inside && joins)
        taps = std::min(w.taps - tw, w.limit - x);
      const int64_t length = std::min(taps * channels - channel, end - at);
      f(at - begin, inside ? image + (y * w.limit + x) * pixel_stride + channel : nullptr, length);
      at += length;
      channel = 0;
      tw += taps;
      if (tw == w.taps) tw = 0, ++th;
    }
  }
};

}  // namespace attune::eigen
