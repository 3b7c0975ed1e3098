#include "tests/support/allocations.h"

#include <atomic>
#include <cerrno>
#include <cstdlib>

#if defined(__GLIBC__) && defined(__LP64__) && !defined(__SANITIZE_ADDRESS__) && \
    !defined(__SANITIZE_THREAD__)
#define ATTUNE_COUNTS_ALLOCATIONS true
#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#define ATTUNE_COUNTS_ALLOCATIONS false
#endif

namespace {

// Bytes at present, and the most there were.
struct Level {
  std::atomic<long long> now{0}, peak{0};

  void add(long long bytes) {
    const long long after = now += bytes;
    for (long long known = peak; known < after && !peak.compare_exchange_weak(known, after);) {
    }
  }
};

std::atomic<size_t> g_count{0};
std::atomic<bool> g_watched{false};
Level g_heap, g_mapped;

}  // namespace

#if ATTUNE_COUNTS_ALLOCATIONS

// The executable's malloc takes the place of the C library's, for shared libraries too.
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* pointer, size_t size);
void* __libc_memalign(size_t alignment, size_t size);
void __libc_free(void* pointer);

namespace {

// A block with its header, a word before it. (One that the heap maps for itself has another.)
long long block_bytes(void* block) {
  return block ? static_cast<long long>(malloc_usable_size(block) + sizeof(size_t)) : 0;
}

void* counted(void* block) {
  ++g_count;
  if (g_watched) g_heap.add(block_bytes(block));
  return block;
}

}  // namespace

void* malloc(size_t size) { return counted(__libc_malloc(size)); }
void* calloc(size_t count, size_t size) { return counted(__libc_calloc(count, size)); }
void* realloc(void* pointer, size_t size) {
  const long long before = g_watched ? block_bytes(pointer) : 0;
  void* const block = __libc_realloc(pointer, size);
  if (block || size == 0) g_heap.add(-before);
  return counted(block);
}
void* memalign(size_t alignment, size_t size) { return counted(__libc_memalign(alignment, size)); }
void* aligned_alloc(size_t alignment, size_t size) {
  return counted(__libc_memalign(alignment, size));
}
int posix_memalign(void** pointer, size_t alignment, size_t size) {
  *pointer = counted(__libc_memalign(alignment, size));
  return *pointer ? 0 : ENOMEM;
}
void free(void* pointer) {
  if (g_watched) g_heap.add(-block_bytes(pointer));
  __libc_free(pointer);
}

void* mmap(void* address, size_t bytes, int protection, int flags, int file, off_t offset) {
  const long result = syscall(SYS_mmap, address, bytes, protection, flags, file, offset);
  if (result != -1 && g_watched) g_mapped.add(static_cast<long long>(bytes));
  return reinterpret_cast<void*>(result);
}
int munmap(void* address, size_t bytes) {
  const long result = syscall(SYS_munmap, address, bytes);
  if (result == 0 && g_watched) g_mapped.add(-static_cast<long long>(bytes));
  return static_cast<int>(result);
}
}
#endif

namespace attune::test {

size_t allocation_count() { return g_count; }

MemoryUse memory_use() { return {g_heap.now, g_mapped.now, g_heap.peak, g_mapped.peak}; }

void reset_peaks() {
  g_heap.peak = g_heap.now.load();
  g_mapped.peak = g_mapped.now.load();
}

MemoryWatch::MemoryWatch() { g_watched = true; }
MemoryWatch::~MemoryWatch() { g_watched = false; }

bool counts_allocations() { return ATTUNE_COUNTS_ALLOCATIONS; }

}  // namespace attune::test
