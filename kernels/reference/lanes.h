#pragma once

#include <cstdint>
#include <type_traits>

namespace attune::reference {

// Channels that a kernel works on at a time, each with an accumulator of its own. They are
// independent, so the compiler may use vectors without changing a bit.
template <class T>
inline constexpr int kLanes = 64 / sizeof(T);

// A few lanes as the vector type of GCC and Clang, at any address. It only says what compilers do
// not reliably find by themselves; targets without vectors get plain code.
template <class T>
struct VectorOf {
  typedef T type __attribute__((vector_size(16), aligned(alignof(T)), may_alias));
};
template <class T>
using Vector = typename VectorOf<T>::type;
template <class T>
inline constexpr int kVectors = kLanes<T> * sizeof(T) / 16;

// Calls f(width), as a constant where the width is full, so that loops over lanes unroll and
// accumulators stay in registers.
template <class T, class F>
void with_width(int64_t width, F&& f) {
  if (width == kLanes<T>)
    f(std::integral_constant<int, kLanes<T>>{});
  else
    f(static_cast<int>(width));
}

}  // namespace attune::reference
