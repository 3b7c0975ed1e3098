#pragma once

#include <cstddef>
#include <span>

namespace attune {

// A session's memory: zeroed, aligned to 64 bytes. All but small blocks are pages of their own, so
// that what they take is known whatever the heap does; large ones lie on pages of 2 MiB where the
// system has them: a training step walks through all of it, and would wait for the translation of
// small pages' addresses.
class MemoryBlock {
 public:
  MemoryBlock() = default;
  ~MemoryBlock();
  MemoryBlock(const MemoryBlock&) = delete;
  MemoryBlock& operator=(const MemoryBlock&) = delete;

  // What the system gives for a block of so many bytes: whole pages, or the heap's.
  static size_t taken_bytes(size_t bytes);

  // Once only. False: out of memory.
  bool allocate(size_t bytes);
  std::byte* data() const { return data_; }

 private:
  std::byte* data_ = nullptr;
  size_t mapped_bytes_ = 0;  // 0: from the heap
};

}  // namespace attune
