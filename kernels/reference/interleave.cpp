#include <algorithm>

#include "kernels/attrs.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/table.h"

namespace attune::reference {
namespace {

// Slices first .. end - 1 of an axis of which `indices`, increasing, names `count`.
template <class T>
void put_slices(const T* y, const T* x, const int32_t* indices, int64_t count, int64_t first,
                int64_t end, int64_t inner, T* z) {
  int64_t k = std::lower_bound(indices, indices + count, first) - indices;
  while (first < end) {
    // Of one of both, as many as lie together.
    const bool of_y = k < count && indices[k] == first;
    int64_t until = of_y || k == count ? end : std::min<int64_t>(end, indices[k]);
    if (of_y) {
      until = first;
      while (k < count && until < end && indices[k] == until) ++k, ++until;
    }
    const T* from = of_y ? y + (k - (until - first)) * inner : x + (first - k) * inner;
    z = std::copy(from, from + (until - first) * inner, z);
    first = until;
  }
}

}  // namespace

template <class T>
void interleave(const KernelArgs& args) {
  const Tensor& indices = args.input(2);
  const Shape& whole = args.output(0).shape;
  const int axis = args.attributes<AxisAttrs>().axis;
  const int64_t size = whole[axis], inner = whole.product(axis + 1, whole.rank);
  const int64_t count = indices.shape.elements();
  const int32_t* places = indices.as<int32_t>();
  const T* y = args.input(0).as<T>();
  const T* x = args.input(1).as<T>();
  T* z = args.output(0).as<T>();
  args.pool->parallel_for(whole.product(0, axis) * size,
                          std::max<int64_t>(1, kElementTile / std::max<int64_t>(1, inner)),
                          [=](int64_t begin, int64_t end) {
                            while (begin < end) {
                              const int64_t outer = begin / size, first = begin % size;
                              const int64_t until = std::min(size, first + end - begin);
                              put_slices(y + outer * count * inner,
                                         x + outer * (size - count) * inner, places, count, first,
                                         until, inner, z + begin * inner);
                              begin += until - first;
                            }
                          });
}
ATTUNE_INSTANTIATE(interleave)

}  // namespace attune::reference
