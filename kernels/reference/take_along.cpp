#include <algorithm>
#include <limits>

#include "kernels/reference/elements.h"
#include "kernels/reference/table.h"

namespace attune::reference {

// The row that an id names, or -1.
static int64_t row_of(int32_t id, int64_t rows) {
  const int64_t row = id < 0 ? id + rows : id;
  return row < rows ? std::max<int64_t>(row, -1) : -1;
}

template <class T>
void take_along(const KernelArgs& args) {
  const Shape& shape = args.input(0).shape;
  const int64_t rows = shape[1], width = shape[2], count = args.input(1).shape[1];
  const T* x = args.input(0).as<T>();
  const int32_t* ids = args.input(1).as<int32_t>();
  T* y = args.output(0).as<T>();
  for_tiles(args, args.input(1).shape.elements(), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = row_of(ids[i], rows);
      if (row < 0)
        std::fill_n(y + i * width, width, std::numeric_limits<T>::quiet_NaN());
      else
        std::copy_n(x + (i / count * rows + row) * width, width, y + i * width);
    }
  });
}
ATTUNE_INSTANTIATE(take_along)

template <class T>
void add_along(const KernelArgs& args) {
  const Shape& shape = args.output(0).shape;
  const int64_t rows = shape[1], width = shape[2], count = args.input(1).shape[1];
  const T* x = args.input(0).as<T>();
  const int32_t* ids = args.input(1).as<int32_t>();
  T* y = args.output(0).as<T>();
  args.pool->parallel_for(shape[0], 1, [=](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      std::fill_n(y + n * rows * width, rows * width, T(0));
      for (int64_t k = 0; k < count; ++k) {
        const int64_t row = row_of(ids[n * count + k], rows);
        if (row < 0) continue;
        const T* term = x + (n * count + k) * width;
        T* sum = y + (n * rows + row) * width;
        for (int64_t i = 0; i < width; ++i) sum[i] += term[i];
      }
    }
  });
}
ATTUNE_INSTANTIATE(add_along)

}  // namespace attune::reference
