#pragma once

#include <cstddef>

namespace attune::test {

// Allocations of the process so far, by every thread and shared library.
size_t allocation_count();

// What the process took from the system while it was watched, less what it gave back, and the most
// since the peaks were reset: blocks of the heap with their headers and rounding, and mappings. Not
// what the C library maps for itself: the stacks of threads.
struct MemoryUse {
  long long heap = 0, mapped = 0;
  long long heap_peak = 0, mapped_peak = 0;
};
MemoryUse memory_use();
void reset_peaks();

// Watches memory as long as it lives. Compilers allocate a lot, and are slow while they are
// watched.
class MemoryWatch {
 public:
  MemoryWatch();
  ~MemoryWatch();
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;
};

// False where something else (a sanitizer, another C library) owns malloc: counts stay 0 then.
bool counts_allocations();

}  // namespace attune::test
