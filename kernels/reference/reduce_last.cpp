#include <algorithm>

#include "kernels/reference/elements.h"
#include "kernels/reference/table.h"

// Reductions over the last axis that are no sums.
namespace attune::reference {
namespace {

// f(row, its number) for the rows of a tensor.
template <class T, class F>
void for_rows(const KernelArgs& args, const Tensor& tensor, F f) {
  const int64_t width = tensor.shape.last();
  const T* x = tensor.as<T>();
  args.pool->parallel_for(width == 0 ? 0 : tensor.shape.elements() / width,
                          std::max<int64_t>(1, kElementTile / std::max<int64_t>(1, width)),
                          [=](int64_t begin, int64_t end) {
                            for (int64_t row = begin; row < end; ++row) f(x + row * width, row);
                          });
}

}  // namespace

template <class T>
void reduce_max(const KernelArgs& args) {
  const int64_t width = args.input(0).shape.last();
  T* y = args.output(0).as<T>();
  for_rows<T>(args, args.input(0), [=](const T* x, int64_t row) {
    T largest = x[0];
    for (int64_t i = 1; i < width; ++i)
      if (x[i] > largest || x[i] != x[i]) largest = x[i];
    y[row] = largest;
  });
}
ATTUNE_INSTANTIATE(reduce_max)

template <class T>
void reduce_prod(const KernelArgs& args) {
  const int64_t width = args.input(0).shape.last();
  T* y = args.output(0).as<T>();
  for_rows<T>(args, args.input(0), [=](const T* x, int64_t row) {
    T product = 1;
    for (int64_t i = 0; i < width; ++i) product *= x[i];
    y[row] = product;
  });
}
ATTUNE_INSTANTIATE(reduce_prod)

// The product of what is before an element, times that of what is behind it.
template <class T>
void reduce_prod_grad(const KernelArgs& args) {
  const int64_t width = args.input(1).shape.last();
  const T* dy = args.input(0).as<T>();
  T* dx = args.output(0).as<T>();
  for_rows<T>(args, args.input(1), [=](const T* x, int64_t row) {
    T* d = dx + row * width;
    T product = dy[row];
    for (int64_t i = 0; i < width; ++i) {
      d[i] = product;
      product *= x[i];
    }
    product = 1;
    for (int64_t i = width - 1; i >= 0; --i) {
      d[i] *= product;
      product *= x[i];
    }
  });
}
ATTUNE_INSTANTIATE(reduce_prod_grad)

// K times the largest of what is left: K is small, or the axis is.
template <class T>
void top_k(const KernelArgs& args) {
  const int64_t width = args.input(0).shape.last(), count = args.output(0).shape.last();
  T* y = args.output(0).as<T>();
  int32_t* places = args.output(1).as<int32_t>();
  // Whether a goes before b, which is at another place.
  const auto before = [](T a, int64_t a_at, T b, int64_t b_at) {
    if (a != a || b != b) return a != a && (b == b || a_at < b_at);
    return a > b || (a == b && a_at < b_at);
  };
  for_rows<T>(args, args.input(0), [=](const T* x, int64_t row) {
    int64_t last = -1;
    for (int64_t k = 0; k < count; ++k) {
      int64_t best = -1;
      for (int64_t i = 0; i < width; ++i)
        if (i != last && (last < 0 || before(x[last], last, x[i], i)) &&
            (best < 0 || before(x[i], i, x[best], best)))
          best = i;
      y[row * count + k] = x[best];
      if (places) places[row * count + k] = static_cast<int32_t>(best);
      last = best;
    }
  });
}
ATTUNE_INSTANTIATE(top_k)

}  // namespace attune::reference
