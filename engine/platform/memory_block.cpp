#include "engine/platform/memory_block.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "kernels/heap_block.h"

#ifdef __linux__
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

size_t MemoryBlock::taken_bytes(size_t bytes) {
#ifdef __linux__
  if (bytes >= kMapped) return whole_pages(bytes);
#endif
  return round_up(bytes, kAlignment) + kHeapBlockBytes;
}

bool MemoryBlock::allocate(size_t bytes) {
#ifdef __linux__
  if (bytes >= kMapped) {
    const size_t size = whole_pages(bytes);
    data_ = static_cast<std::byte*>(size < kLargePage ? map(size) : map_aligned(size));
    if (!data_) return false;
    mapped_bytes_ = size;
#ifdef MADV_HUGEPAGE
    // Whole pages only, so that no more memory is used than was asked for. A system that refuses
    // serves small ones.
    if (size >= kLargePage) ::madvise(data_, size / kLargePage * kLargePage, MADV_HUGEPAGE);
#endif
    return true;
  }
#endif
  const size_t size = round_up(bytes, kAlignment);
  data_ = static_cast<std::byte*>(std::aligned_alloc(kAlignment, size));
  if (data_) std::memset(data_, 0, size);
  return data_ != nullptr;
}

MemoryBlock::~MemoryBlock() {
#ifdef __linux__
  if (mapped_bytes_ > 0) {
    ::munmap(data_, mapped_bytes_);
    return;
  }
#endif
  std::free(data_);
}

}  // namespace attune
