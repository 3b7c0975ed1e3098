#include <algorithm>

#include "kernels/attrs.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/table.h"

namespace attune::reference {

template <class T>
void cumsum(const KernelArgs& args) {
  const auto attrs = args.attributes<CumsumAttrs>();
  const Shape& shape = args.input(0).shape;
  const int64_t size = shape[attrs.axis], inner = shape.product(attrs.axis + 1, shape.rank);
  const T* x = args.input(0).as<T>();
  T* y = args.output(0).as<T>();
  args.pool->parallel_for(shape.product(0, attrs.axis) * inner,
                          std::max<int64_t>(1, kElementTile / std::max<int64_t>(1, size)),
                          [=](int64_t begin, int64_t end) {
                            for (int64_t line = begin; line < end; ++line) {
                              const int64_t first = line / inner * size * inner + line % inner;
                              T sum = 0;
                              for (int64_t k = 0; k < size; ++k) {
                                const int64_t at =
                                    first + (attrs.reverse ? size - 1 - k : k) * inner;
                                if (attrs.exclusive) y[at] = sum;
                                sum += x[at];
                                if (!attrs.exclusive) y[at] = sum;
                              }
                            }
                          });
}
ATTUNE_INSTANTIATE(cumsum)

}  // namespace attune::reference
