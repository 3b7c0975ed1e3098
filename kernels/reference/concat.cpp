#include <algorithm>

#include "kernels/attrs.h"
#include "kernels/reference/instantiate.h"
#include "kernels/reference/table.h"
#include "kernels/thread_pool.h"

namespace attune::reference {

template <class T>
void concat(const KernelArgs& args) {
  const int axis = args.attributes<AxisAttrs>().axis;
  const Shape& shape = args.output(0).shape;
  const int64_t outer = shape.product(0, axis);
  const int64_t row = shape.product(axis, shape.rank);
  T* y = args.output(0).as<T>();
  args.pool->parallel_for(outer, std::max<int64_t>(1, 8192 / std::max<int64_t>(1, row)),
                          [&](int64_t begin, int64_t end) {
                            for (int64_t o = begin; o < end; ++o) {
                              T* target = y + o * row;
                              for (int k = 0; k < args.num_inputs; ++k) {
                                const Tensor& x = args.inputs[k];
                                const int64_t width = x.shape.product(axis, x.shape.rank);
                                target = std::copy_n(x.as<T>() + o * width, width, target);
                              }
                            }
                          });
}
ATTUNE_INSTANTIATE(concat)

}  // namespace attune::reference
