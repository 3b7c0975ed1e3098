#include <algorithm>
#include <cstring>

#include "attune/thread_pool.h"
#include "kernels/attrs.h"
#include "kernels/reference/table.h"

namespace attune::reference {

template <class T>
void slice(const KernelArgs& args) {
  const auto& attrs = args.attributes<SliceAttrs>();
  const Shape& from = args.input(0).shape;
  const Shape& to = args.output(0).shape;
  const int64_t inner = from.product(attrs.axis + 1, from.rank);
  const int64_t x_row = from[attrs.axis] * inner, y_row = to[attrs.axis] * inner;
  // Bytes: the operands may be of another type than the plan computes in.
  const auto size = static_cast<int64_t>(dtype_bytes(args.input(0).dtype, 1));
  const auto* x = args.input(0).as<std::byte>() + attrs.start * inner * size;
  auto* y = args.output(0).as<std::byte>();
  args.pool->parallel_for(to.product(0, attrs.axis),
                          std::max<int64_t>(1, 8192 / std::max<int64_t>(1, y_row)),
                          [=](int64_t begin, int64_t end) {
                            for (int64_t o = begin; o < end; ++o)
                              std::memmove(y + o * y_row * size, x + o * x_row * size,
                                           static_cast<size_t>(y_row * size));
                          });
}
ATTUNE_INSTANTIATE(slice)

}  // namespace attune::reference
