#pragma once

#include <cstddef>

namespace attune {

// What the heap takes for a block beside the bytes that were asked for, at most: its own header,
// rounding, and the count that C++ keeps with an array.
inline constexpr size_t kHeapBlockBytes = 32;

// What the heap takes for a block, at most. Large ones may be whole pages.
constexpr size_t heap_bytes(size_t bytes) {
  constexpr size_t kLarge = size_t{64} << 10, kPage = 4096;
  return bytes + (bytes < kLarge ? kHeapBlockBytes : kPage + 128);
}

}  // namespace attune
