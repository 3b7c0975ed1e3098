#include <algorithm>

#include "kernels/attrs.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/table.h"

namespace attune::reference {

// Like gather, which needs no order of the indices.
template <class T>
void select(const KernelArgs& args) {
  gather<T>(args);
}
ATTUNE_INSTANTIATE(select)

// Threads share what is outside of the axis, so that each sum has one order.
template <class T>
void scatter_add(const KernelArgs& args) {
  const Shape& wide = args.output(0).shape;
  const int axis = args.attributes<AxisAttrs>().axis;
  const int64_t size = wide[axis], inner = wide.product(axis + 1, wide.rank);
  const int64_t count = args.input(1).shape.elements();
  const int32_t* indices = args.input(1).as<int32_t>();
  const T* x = args.input(0).as<T>();
  T* y = args.output(0).as<T>();
  args.pool->parallel_for(wide.product(0, axis),
                          std::max<int64_t>(1, kElementTile / std::max<int64_t>(1, size * inner)),
                          [=](int64_t begin, int64_t end) {
                            std::fill(y + begin * size * inner, y + end * size * inner, T(0));
                            for (int64_t o = begin; o < end; ++o)
                              for (int64_t k = 0; k < count; ++k) {
                                const T* term = x + (o * count + k) * inner;
                                T* sum = y + (o * size + indices[k]) * inner;
                                for (int64_t i = 0; i < inner; ++i) sum[i] += term[i];
                              }
                          });
}
ATTUNE_INSTANTIATE(scatter_add)

}  // namespace attune::reference
