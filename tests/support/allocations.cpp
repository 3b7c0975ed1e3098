#include "tests/support/allocations.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>

namespace {
std::atomic<size_t> g_count{0};
}  // namespace

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define ATTUNE_COUNTS_ALLOCATIONS true

// The executable's malloc takes the place of the C library's, for shared libraries too.
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* pointer, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

void* malloc(size_t size) {
  ++g_count;
  return __libc_malloc(size);
}
void* calloc(size_t count, size_t size) {
  ++g_count;
  return __libc_calloc(count, size);
}
void* realloc(void* pointer, size_t size) {
  ++g_count;
  return __libc_realloc(pointer, size);
}
void* memalign(size_t alignment, size_t size) {
  ++g_count;
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(size_t alignment, size_t size) {
  ++g_count;
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** pointer, size_t alignment, size_t size) {
  ++g_count;
  *pointer = __libc_memalign(alignment, size);
  return *pointer ? 0 : ENOMEM;
}
}
#else
#define ATTUNE_COUNTS_ALLOCATIONS false
#endif

namespace attune::test {

size_t allocation_count() { return g_count; }
bool counts_allocations() { return ATTUNE_COUNTS_ALLOCATIONS; }

}  // namespace attune::test
