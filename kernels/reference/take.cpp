#include <algorithm>
#include <limits>

#include "kernels/reference/elements.h"
#include "kernels/reference/table.h"

namespace attune::reference {

template <class T>
void take(const KernelArgs& args) {
  const int64_t rows = args.input(0).shape[0], width = args.input(0).shape[1];
  const T* table = args.input(0).as<T>();
  const int32_t* ids = args.input(1).as<int32_t>();
  T* y = args.output(0).as<T>();
  for_tiles(args, args.input(1).shape.elements(), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = ids[i] < 0 ? ids[i] + rows : ids[i];
      if (row < 0 || row >= rows)
        std::fill_n(y + i * width, width, std::numeric_limits<T>::quiet_NaN());
      else
        std::copy_n(table + row * width, width, y + i * width);
    }
  });
}
ATTUNE_INSTANTIATE(take)

}  // namespace attune::reference
