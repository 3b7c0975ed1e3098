#pragma once

#include <cstddef>

namespace attune::test {

// Allocations of the process so far, by every thread and shared library.
size_t allocation_count();

// False where something else (a sanitizer, another C library) owns malloc: counts stay 0 then.
bool counts_allocations();

}  // namespace attune::test
