#include <cmath>

#include "kernels/reference/elements.h"
#include "kernels/reference/strided.h"
#include "kernels/reference/table.h"

namespace attune::reference {
namespace {

// y may lie on an input of y's shape: such an input is read at the place that is written next.
template <class T, class F>
void binary(const KernelArgs& args, F f) {
  const T* a = args.input(0).as<T>();
  const T* b = args.input(1).as<T>();
  T* y = args.output(0).as<T>();
  const Shape& shape = args.output(0).shape;
  const StridedLoop loop = broadcast_loop(shape, args.input(0).shape, args.input(1).shape);
  const int64_t a_step = loop.a_step(), b_step = loop.b_step();
  for_tiles(args, shape.elements(), [&](int64_t begin, int64_t end) {
    loop.for_runs(begin, end, [&](int64_t out, int64_t count, int64_t a_begin, int64_t b_begin) {
      const T* s = a + a_begin;
      const T* t = b + b_begin;
      T* r = y + out;
      // Contiguous runs and repeated scalars are nearly all there is: they get loops of their own.
      if (a_step == 1 && b_step == 1) {
        for (int64_t i = 0; i < count; ++i) r[i] = f(s[i], t[i]);
      } else if (a_step == 1 && b_step == 0) {
        const T v = *t;
        for (int64_t i = 0; i < count; ++i) r[i] = f(s[i], v);
      } else if (a_step == 0 && b_step == 1) {
        const T v = *s;
        for (int64_t i = 0; i < count; ++i) r[i] = f(v, t[i]);
      } else {
        for (int64_t i = 0; i < count; ++i) r[i] = f(s[i * a_step], t[i * b_step]);
      }
    });
  });
}

}  // namespace

template <class T>
void add(const KernelArgs& args) {
  binary<T>(args, [](T a, T b) { return a + b; });
}
ATTUNE_INSTANTIATE(add)

template <class T>
void sub(const KernelArgs& args) {
  binary<T>(args, [](T a, T b) { return a - b; });
}
ATTUNE_INSTANTIATE(sub)

template <class T>
void mul(const KernelArgs& args) {
  binary<T>(args, [](T a, T b) { return a * b; });
}
ATTUNE_INSTANTIATE(mul)

template <class T>
void div(const KernelArgs& args) {
  binary<T>(args, [](T a, T b) { return a / b; });
}
ATTUNE_INSTANTIATE(div)

template <class T>
void pow(const KernelArgs& args) {
  binary<T>(args, [](T a, T b) { return std::pow(a, b); });
}
ATTUNE_INSTANTIATE(pow)

template <class T>
void minimum(const KernelArgs& args) {
  binary<T>(args, [](T a, T b) { return a < b || a != a ? a : b; });
}
ATTUNE_INSTANTIATE(minimum)

template <class T>
void maximum(const KernelArgs& args) {
  binary<T>(args, [](T a, T b) { return a > b || a != a ? a : b; });
}
ATTUNE_INSTANTIATE(maximum)

template <class T>
void equal(const KernelArgs& args) {
  binary<T>(args, [](T a, T b) { return static_cast<T>(a == b); });
}
ATTUNE_INSTANTIATE(equal)

template <class T>
void less(const KernelArgs& args) {
  binary<T>(args, [](T a, T b) { return static_cast<T>(a < b); });
}
ATTUNE_INSTANTIATE(less)

template <class T>
void less_or_equal(const KernelArgs& args) {
  binary<T>(args, [](T a, T b) { return static_cast<T>(a <= b); });
}
ATTUNE_INSTANTIATE(less_or_equal)

}  // namespace attune::reference
