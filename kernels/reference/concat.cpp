#include <algorithm>

#include "attune/thread_pool.h"
#include "kernels/attrs.h"
#include "kernels/reference/table.h"

namespace attune::reference {

template <class T>
void concat(const KernelArgs& args) {
  const int axis = args.attributes<AxisAttrs>().axis;
  const Shape& shape = args.output(0).shape;
  const int64_t outer = shape.product(0, axis);
  const int64_t row = shape.product(axis, shape.rank);
  const auto size = static_cast<int64_t>(dtype_bytes(args.output(0).dtype, 1));
  auto* y = args.output(0).as<std::byte>();
  args.pool->parallel_for(outer, std::max<int64_t>(1, 8192 / std::max<int64_t>(1, row)),
                          [&](int64_t begin, int64_t end) {
                            for (int64_t o = begin; o < end; ++o) {
                              std::byte* target = y + o * row * size;
                              for (int k = 0; k < args.num_inputs; ++k) {
                                const Tensor& x = args.inputs[k];
                                const int64_t width = x.shape.product(axis, x.shape.rank) * size;
                                target = std::copy_n(x.as<std::byte>() + o * width, width, target);
                              }
                            }
                          });
}
ATTUNE_INSTANTIATE(concat)

}  // namespace attune::reference
