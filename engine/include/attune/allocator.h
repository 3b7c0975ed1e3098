#pragma once

#include <cstddef>
#include <cstdint>

namespace attune {

// Where memory comes from, for who wants to know. Called when sessions and trainers are created and
// destroyed, never between.
struct Allocator {
  void* context = nullptr;
  // `bytes` bytes at a multiple of `alignment` (a power of two), or null where there are none.
  void* (*allocate)(void* context, size_t bytes, size_t alignment) = nullptr;
  // Takes back what `allocate` gave for so many bytes.
  void (*release)(void* context, void* memory, size_t bytes) = nullptr;
  explicit operator bool() const { return allocate != nullptr; }
};

// Takes memory from one block of the caller's, one piece behind the other. What is released last
// in, first out can be taken again; the rest, when everything is released. Must outlive what uses
// it.
class BlockAllocator {
 public:
  BlockAllocator(void* block, size_t bytes)
      : begin_(static_cast<std::byte*>(block)), bytes_(bytes) {}

  Allocator allocator() {
    return {.context = this,
            .allocate =
                [](void* self, size_t bytes, size_t alignment) {
                  return static_cast<BlockAllocator*>(self)->take(bytes, alignment);
                },
            .release = [](void* self, void* memory,
                          size_t) { static_cast<BlockAllocator*>(self)->give(memory); }};
  }
  size_t used_bytes() const { return used_; }

 private:
  void* take(size_t bytes, size_t alignment) {
    const auto at = reinterpret_cast<uintptr_t>(begin_ + used_);
    const size_t gap = static_cast<size_t>((alignment - at % alignment) % alignment);
    if (gap > bytes_ - used_ || bytes > bytes_ - used_ - gap) return nullptr;
    last_ = begin_ + used_ + gap;
    used_ += gap + bytes;
    ++pieces_;
    return last_;
  }
  void give(void* memory) {
    if (--pieces_ == 0)
      used_ = 0;
    else if (memory == last_)
      used_ = static_cast<size_t>(last_ - begin_);
  }

  std::byte* begin_;
  std::byte* last_ = nullptr;
  size_t bytes_, used_ = 0, pieces_ = 0;
};

}  // namespace attune
