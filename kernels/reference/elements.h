#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "attune/thread_pool.h"
#include "kernels/kernel.h"

// What elementwise kernels share. Tiles have fixed sizes, multiples of 8, so that no two threads
// write the same byte of a mask.
namespace attune::reference {

inline constexpr int64_t kElementTile = 8192;

constexpr int64_t div_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Splits [0, count) among the threads.
template <class F>
void for_tiles(const KernelArgs& args, int64_t count, F&& f) {
  args.pool->parallel_for(count, kElementTile, f);
}

// y[i] = f(x[i]). y may lie on x.
template <class T, class F>
void map(const KernelArgs& args, F f) {
  const T* x = args.input(0).as<T>();
  T* y = args.output(0).as<T>();
  for_tiles(args, args.output(0).shape.elements(), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = f(x[i]);
  });
}

// y[i] = f(a[i], b[i]). y may lie on a or b.
template <class T, class F>
void map2(const KernelArgs& args, F f) {
  const T* a = args.input(0).as<T>();
  const T* b = args.input(1).as<T>();
  T* y = args.output(0).as<T>();
  for_tiles(args, args.output(0).shape.elements(), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = f(a[i], b[i]);
  });
}

// Far from 0 exp overflows to infinity or vanishes, which gives the right limits.
template <class T>
T sigmoid_value(T x) {
  return T(1) / (T(1) + std::exp(-x));
}

// Rounded from double: C libraries differ in tanhf's last bit.
template <class T>
T tanh_value(T x) {
  return static_cast<T>(std::tanh(static_cast<double>(x)));
}

// NaN stays NaN: both comparisons are false.
template <class T>
T clamp_value(T x, T low, T high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

// Bits [begin, end) of the mask that is true where low < y < high. `begin` is a multiple of 8; the
// bits after `end` in the last byte become zero.
template <class T>
void pack_mask(const T* y, int64_t begin, int64_t end, T low, T high, uint8_t* mask) {
  for (int64_t i = begin; i < end; i += 8) {
    const int64_t bits = std::min<int64_t>(8, end - i);
    unsigned byte = 0;
    for (int64_t j = 0; j < bits; ++j) {
      const T v = y[i + j];
      byte |= static_cast<unsigned>((v > low) & (v < high)) << j;
    }
    mask[i / 8] = static_cast<uint8_t>(byte);
  }
}

// y = f(x) for elements of x, which y may be, clamped; writes the mask, output 1, where it is
// there.
template <class T, class F>
void map_clamped(const KernelArgs& args, const T* x, T low, T high, F f) {
  T* y = args.output(0).as<T>();
  uint8_t* mask = args.output(1).as<uint8_t>();
  for_tiles(args, args.output(0).shape.elements(), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = clamp_value(f(x[i]), low, high);
    if (mask) pack_mask(y, begin, end, low, high, mask);
  });
}

// The activation that conv2d, depthwise_conv2d and linear apply last, to output 0.
template <class T, class A>
void clamp_output(const KernelArgs& args, const A& attrs) {
  if (attrs.clamps() || args.output(1))
    map_clamped<T>(args, args.output(0).as<T>(), static_cast<T>(attrs.clamp_min),
                   static_cast<T>(attrs.clamp_max), [](T y) { return y; });
}

}  // namespace attune::reference
