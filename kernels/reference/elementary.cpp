#include <cmath>
#include <limits>

#include "kernels/reference/elements.h"
#include "kernels/reference/table.h"

// Functions of one number. Where C libraries differ in the last bit of the single precision, the
// double one is rounded.
namespace attune::reference {
namespace {

template <class T, class F>
void map_double(const KernelArgs& args, F f) {
  map<T>(args, [=](T x) { return static_cast<T>(f(static_cast<double>(x))); });
}

}  // namespace

template <class T>
void exp(const KernelArgs& args) {
  map<T>(args, [](T x) { return std::exp(x); });
}
ATTUNE_INSTANTIATE(exp)

template <class T>
void log(const KernelArgs& args) {
  map<T>(args, [](T x) { return std::log(x); });
}
ATTUNE_INSTANTIATE(log)

template <class T>
void erf(const KernelArgs& args) {
  map_double<T>(args, [](double x) { return std::erf(x); });
}
ATTUNE_INSTANTIATE(erf)

template <class T>
void abs(const KernelArgs& args) {
  map<T>(args, [](T x) { return std::abs(x); });
}
ATTUNE_INSTANTIATE(abs)

template <class T>
void sin(const KernelArgs& args) {
  map_double<T>(args, [](double x) { return std::sin(x); });
}
ATTUNE_INSTANTIATE(sin)

template <class T>
void cos(const KernelArgs& args) {
  map_double<T>(args, [](double x) { return std::cos(x); });
}
ATTUNE_INSTANTIATE(cos)

template <class T>
void floor(const KernelArgs& args) {
  map<T>(args, [](T x) { return std::floor(x); });
}
ATTUNE_INSTANTIATE(floor)

// In the default rounding mode of the processor, halves to even.
template <class T>
void round(const KernelArgs& args) {
  map<T>(args, [](T x) { return std::nearbyint(x); });
}
ATTUNE_INSTANTIATE(round)

template <class T>
void trunc(const KernelArgs& args) {
  map<T>(args, [](T x) { return std::trunc(x); });
}
ATTUNE_INSTANTIATE(trunc)

template <class T>
void sign(const KernelArgs& args) {
  map<T>(args, [](T x) { return x > T(0) ? T(1) : x < T(0) ? T(-1) : x == x ? T(0) : x; });
}
ATTUNE_INSTANTIATE(sign)

template <class T>
void to_real(const KernelArgs& args) {
  const int32_t* x = args.input(0).as<int32_t>();
  T* y = args.output(0).as<T>();
  for_tiles(args, args.output(0).shape.elements(), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = static_cast<T>(x[i]);
  });
}
ATTUNE_INSTANTIATE(to_real)

template <class T>
void to_places(const KernelArgs& args) {
  constexpr T kLimit = T(2147483648.0);
  const T* x = args.input(0).as<T>();
  int32_t* y = args.output(0).as<int32_t>();
  for_tiles(args, args.output(0).shape.elements(), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      y[i] = x[i] > -kLimit && x[i] < kLimit ? static_cast<int32_t>(x[i])
                                             : std::numeric_limits<int32_t>::min();
  });
}
ATTUNE_INSTANTIATE(to_places)

}  // namespace attune::reference
