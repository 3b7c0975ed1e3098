#pragma once

#include <cstdint>

#include "attune/thread_pool.h"
#include "kernels/kernel.h"

namespace attune {

// dx = mask ? dy : 0 over `rows` rows of `channels` elements; dx may be dy. A masked NaN is 0 too.
// `sums`, where not null, receives the sum of dx's rows.
template <class T>
void mask_grad(const T* dy, const uint8_t* mask, T* dx, int64_t rows, int64_t channels, T* sums,
               ThreadPool& pool) {
  pool.parallel_for(rows * channels, 4096, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) dx[i] = mask[i / 8] >> (i % 8) & 1 ? dy[i] : T(0);
  });
  if (!sums) return;
  pool.parallel_for(channels, 64, [=](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) sums[c] = 0;
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t c = begin; c < end; ++c) sums[c] += dx[row * channels + c];
  });
}

// What the gradient of an input does at its end, where it is given a mask (input 2): masks output
// 0, and sums it into output 1.
template <class T>
void mask_grad_input(const KernelArgs& args) {
  const Tensor dx = args.output(0), mask = args.input(2);
  if (!mask) return;
  mask_grad(dx.as<T>(), mask.as<uint8_t>(), dx.as<T>(), dx.shape.product(0, dx.shape.rank - 1),
            int64_t{dx.shape.last()}, args.output(1).as<T>(), *args.pool);
}

}  // namespace attune
