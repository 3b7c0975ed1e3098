#pragma once

#include <algorithm>
#include <cstdint>

#include "kernels/kernel.h"
#include "kernels/reference/elements.h"

// A wide tensor seen as [outer, axis, inner], and beside it a narrow one that holds only the slices
// along the axis that `indices` names: [outer, K, inner]. Indices are inside the axis and
// different; whoever loads them checks that.
namespace attune::reference {

struct IndexedAxis {
  int64_t size, inner;     // of the wide tensor
  const int32_t* indices;  // null: all slices, wide and narrow are the same
  int64_t count;           // K

  IndexedAxis(const Shape& wide, int axis, const Tensor& chosen)
      : size(wide[axis]),
        inner(wide.product(axis + 1, wide.rank)),
        indices(chosen.as<int32_t>()),
        count(chosen ? chosen.shape.elements() : size) {}

  // Calls f(wide offset, narrow offset, count) for the contiguous runs of narrow elements
  // [begin, end).
  template <class F>
  void for_runs(int64_t begin, int64_t end, F&& f) const {
    if (!indices) {
      f(begin, begin, end - begin);
      return;
    }
    int64_t i = begin % inner, k = begin / inner % count, outer = begin / inner / count;
    while (begin < end) {
      const int64_t run = std::min(inner - i, end - begin);
      f((outer * size + indices[k]) * inner + i, begin, run);
      begin += run;
      i = 0;
      if (++k == count) {
        k = 0;
        ++outer;
      }
    }
  }
};

// f for all runs of a call, whose narrow tensor has `elements`, split among the threads.
template <class F>
void for_slices(const KernelArgs& args, const IndexedAxis& slices, int64_t elements, F f) {
  for_tiles(args, elements, [&](int64_t begin, int64_t end) { slices.for_runs(begin, end, f); });
}

}  // namespace attune::reference
