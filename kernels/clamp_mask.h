#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "attune/thread_pool.h"
#include "kernels/kernel.h"

namespace attune {

// Writes the mask of y, all of it: bits past the last element are zeros. A pass of its own, since
// tiles of a product do not end at whole bytes.
template <class T>
void write_clamp_mask(const T* y, int64_t elements, T min, T max, uint8_t* mask, ThreadPool& pool) {
  pool.parallel_for((elements + 7) / 8, 4096, [=](int64_t begin, int64_t end) {
    for (int64_t byte = begin; byte < end; ++byte) {
      uint8_t flags[8] = {};
      const int64_t at = byte * 8, n = std::min<int64_t>(8, elements - at);
      if (n == 8)
        for (int j = 0; j < 8; ++j) flags[j] = (y[at + j] > min) & (y[at + j] < max);
      else
        for (int j = 0; j < n; ++j) flags[j] = (y[at + j] > min) & (y[at + j] < max);
      // Moves bit 0 of byte i to bit 56 + i.
      uint64_t all;
      std::memcpy(&all, flags, 8);
      if constexpr (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) all = __builtin_bswap64(all);
      mask[byte] = static_cast<uint8_t>(all * 0x0102040810204080u >> 56);
    }
  });
}

// That of output 0 into output 1, where it is there: what fused kernels do at their end.
template <class T>
void write_clamp_mask(const KernelArgs& args, double min, double max) {
  const Tensor y = args.output(0), mask = args.output(1);
  if (mask)
    write_clamp_mask(y.as<T>(), y.shape.elements(), static_cast<T>(min), static_cast<T>(max),
                     mask.as<uint8_t>(), *args.pool);
}

}  // namespace attune
