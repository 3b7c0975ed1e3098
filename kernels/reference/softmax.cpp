#include <cmath>

#include "attune/thread_pool.h"
#include "kernels/reference/softmax_row.h"
#include "kernels/reference/table.h"

namespace attune::reference {

template <class T>
void softmax(const KernelArgs& args) {
  const T* x = args.input(0).as<T>();
  T* y = args.output(0).as<T>();
  const Shape& shape = args.output(0).shape;
  const int64_t width = shape.last();
  if (width == 0) return;
  args.pool->parallel_for(shape.elements() / width, row_tile(width), [=](int64_t row, int64_t end) {
    for (; row < end; ++row) {
      const T* s = x + row * width;
      softmax_row(s, row_max(s, width), width, y + row * width);
    }
  });
}
ATTUNE_INSTANTIATE(softmax)

template <class T>
void log_softmax(const KernelArgs& args) {
  const T* x = args.input(0).as<T>();
  T* y = args.output(0).as<T>();
  const Shape& shape = args.output(0).shape;
  const int64_t width = shape.last();
  if (width == 0) return;
  args.pool->parallel_for(shape.elements() / width, row_tile(width), [=](int64_t row, int64_t end) {
    for (; row < end; ++row) {
      const T* s = x + row * width;
      const T largest = row_max(s, width);
      const T log_sum = std::log(softmax_row<T>(s, largest, width, nullptr));
      for (int64_t i = 0; i < width; ++i) y[row * width + i] = s[i] - largest - log_sum;
    }
  });
}
ATTUNE_INSTANTIATE(log_softmax)

// dx = y * (dy - sum over the last axis of y * dy)
template <class T>
void softmax_grad(const KernelArgs& args) {
  const T* dy = args.input(0).as<T>();
  const T* y = args.input(1).as<T>();
  T* dx = args.output(0).as<T>();
  const Shape& shape = args.output(0).shape;
  const int64_t width = shape.last();
  if (width == 0) return;
  args.pool->parallel_for(shape.elements() / width, row_tile(width), [=](int64_t row, int64_t end) {
    for (; row < end; ++row) {
      const T* g = dy + row * width;
      const T* p = y + row * width;
      T* t = dx + row * width;
      T sum = 0;
      for (int64_t i = 0; i < width; ++i) sum += p[i] * g[i];
      for (int64_t i = 0; i < width; ++i) t[i] = p[i] * (g[i] - sum);
    }
  });
}
ATTUNE_INSTANTIATE(softmax_grad)

}  // namespace attune::reference
