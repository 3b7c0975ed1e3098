#pragma once

#include <algorithm>
#include <cstdint>

#include "attune/shape.h"

// Walks over a densely packed output and, beside it, over one or two inputs that move by strides of
// their own along each axis (0 where they repeat).
namespace attune::reference {

struct StridedLoop {
  int rank = 0;
  int64_t dims[kMaxRank] = {};
  int64_t a[kMaxRank] = {};
  int64_t b[kMaxRank] = {};

  // Adds an inner axis. Axes of size 1 are left out, and one that continues the axis before it is
  // joined with that, so that the innermost runs are as long as they can be.
  void add(int64_t size, int64_t a_stride, int64_t b_stride) {
    if (size == 1) return;
    if (rank > 0 && a[rank - 1] == size * a_stride && b[rank - 1] == size * b_stride) {
      dims[rank - 1] *= size;
    } else {
      dims[rank++] = size;
    }
    a[rank - 1] = a_stride;
    b[rank - 1] = b_stride;
  }

  int64_t elements() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= dims[i];
    return n;
  }
  // How far the inputs move from one element of a run to the next.
  int64_t a_step() const { return rank == 0 ? 0 : a[rank - 1]; }
  int64_t b_step() const { return rank == 0 ? 0 : b[rank - 1]; }

  // Cuts the outputs [begin, end) into runs along the innermost axis and calls
  // f(first output, count, offset in a, offset in b) for each.
  template <class F>
  void for_runs(int64_t begin, int64_t end, F&& f) const {
    if (begin >= end) return;
    if (rank == 0) {
      f(begin, end - begin, int64_t{0}, int64_t{0});
      return;
    }
    int64_t index[kMaxRank];
    int64_t rest = begin, a_offset = 0, b_offset = 0;
    for (int i = rank - 1; i >= 0; --i) {
      index[i] = rest % dims[i];
      rest /= dims[i];
      a_offset += index[i] * a[i];
      b_offset += index[i] * b[i];
    }
    const int inner = rank - 1;
    while (begin < end) {
      const int64_t count = std::min(dims[inner] - index[inner], end - begin);
      f(begin, count, a_offset, b_offset);
      begin += count;
      a_offset -= index[inner] * a[inner];
      b_offset -= index[inner] * b[inner];
      index[inner] = 0;
      for (int i = inner - 1; i >= 0; --i) {
        a_offset += a[i];
        b_offset += b[i];
        if (++index[i] < dims[i]) break;
        a_offset -= dims[i] * a[i];
        b_offset -= dims[i] * b[i];
        index[i] = 0;
      }
    }
  }
};

// Elements between neighbours along each axis of a densely packed tensor.
struct Strides {
  int64_t of[kMaxRank] = {};

  explicit Strides(const Shape& shape) {
    int64_t stride = 1;
    for (int i = shape.rank - 1; i >= 0; --i) {
      of[i] = stride;
      stride *= shape[i];
    }
  }
};

// NumPy's broadcasting: axes align at the right, and those of size 1 or missing repeat.
inline StridedLoop broadcast_loop(const Shape& out, const Shape& a, const Shape& b) {
  const Strides a_strides(a), b_strides(b);
  StridedLoop loop;
  for (int i = 0; i < out.rank; ++i) {
    const int ai = i - (out.rank - a.rank), bi = i - (out.rank - b.rank);
    loop.add(out[i], ai < 0 || a[ai] == 1 ? 0 : a_strides.of[ai],
             bi < 0 || b[bi] == 1 ? 0 : b_strides.of[bi]);
  }
  return loop;
}

}  // namespace attune::reference
