#include "engine/platform/memory.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernels/heap_block.h"

#ifdef __linux__
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace attune {
namespace {

constexpr size_t kAlignment = 64;

constexpr size_t round_up(size_t bytes, size_t to) { return (bytes + to - 1) / to * to; }

#ifdef __linux__
constexpr size_t kMapped = size_t{64} << 10;  // from here on, pages of its own
constexpr size_t kLargePage = size_t{2} << 20;

size_t whole_pages(size_t bytes) {
  return round_up(bytes, static_cast<size_t>(::sysconf(_SC_PAGESIZE)));
}

// Fresh pages are zeros. Null on failure.
void* map(size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

// A mapping that starts where a large page may; `bytes` is a multiple of the page.
void* map_aligned(size_t bytes) {
  auto* memory = static_cast<std::byte*>(map(bytes + kLargePage));
  if (!memory) return nullptr;
  const size_t before = round_up(reinterpret_cast<uintptr_t>(memory), kLargePage) -
                        reinterpret_cast<uintptr_t>(memory);
  if (before > 0) ::munmap(memory, before);
  if (before < kLargePage) ::munmap(memory + before + bytes, kLargePage - before);
  return memory + before;
}
#endif

}  // namespace

size_t file_stack_bytes() { return size_t{32} << 10; }  // 20 kB were seen

size_t available_bytes() {
#ifdef __linux__
  char text[512];
  const int file = ::open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
  if (file < 0) return SIZE_MAX;
  const ssize_t length = ::read(file, text, sizeof(text) - 1);
  ::close(file);
  text[std::max<ssize_t>(length, 0)] = '\0';
  unsigned long long kilobytes = 0;
  const char* line = std::strstr(text, "MemAvailable:");
  if (!line || std::sscanf(line, "MemAvailable: %llu kB", &kilobytes) != 1) return SIZE_MAX;
  return static_cast<size_t>(std::min<unsigned long long>(kilobytes, SIZE_MAX / 1024)) * 1024;
#else
  return SIZE_MAX;
#endif
}

size_t taken_bytes(size_t bytes) {
#ifdef __linux__
  if (bytes >= kMapped) return whole_pages(bytes);
#endif
  return round_up(bytes, kAlignment) + kHeapBlockBytes;
}

void* take_memory(size_t bytes) {
  if (bytes > SIZE_MAX / 2) return nullptr;  // before rounding up goes round
#ifdef __linux__
  if (bytes >= kMapped) {
    const size_t size = whole_pages(bytes);
    void* memory = size < kLargePage ? map(size) : map_aligned(size);
#ifdef MADV_HUGEPAGE
    // Whole pages only, so that no more memory is used than was asked for. A system that refuses
    // serves small ones.
    if (memory && size >= kLargePage)
      ::madvise(memory, size / kLargePage * kLargePage, MADV_HUGEPAGE);
#endif
    return memory;
  }
#endif
  const size_t size = round_up(bytes, kAlignment);
  void* memory = std::aligned_alloc(kAlignment, size);
  if (memory) std::memset(memory, 0, size);
  return memory;
}

bool& memory_was_refused() {
  static thread_local bool refused = false;
  return refused;
}

void give_memory(void* memory, size_t bytes) {
#ifdef __linux__
  if (bytes >= kMapped) {
    ::munmap(memory, whole_pages(bytes));
    return;
  }
#endif
  std::free(memory);
}

}  // namespace attune
