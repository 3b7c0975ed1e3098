#pragma once

#include <cstddef>
#include <cstring>
#include <utility>

#include "attune/allocator.h"
#include "engine/platform/memory.h"

namespace attune {

// A piece of memory, zeroed, aligned to 64 bytes: of an allocator, or where that is none, of the
// system.
class MemoryBlock {
 public:
  static constexpr size_t kAlignment = 64;

  MemoryBlock() = default;
  MemoryBlock(MemoryBlock&& other) noexcept { *this = std::move(other); }
  MemoryBlock& operator=(MemoryBlock&& other) noexcept {
    std::swap(allocator_, other.allocator_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MemoryBlock() {
    if (!data_) return;
    if (allocator_)
      allocator_.release(allocator_.context, data_, bytes_);
    else
      give_memory(data_, bytes_);
  }

  // Once only. False: out of memory.
  bool allocate(const Allocator& allocator, size_t bytes) {
    allocator_ = allocator;
    bytes_ = bytes > 0 ? bytes : 1;
    data_ = static_cast<std::byte*>(allocator
                                        ? allocator.allocate(allocator.context, bytes_, kAlignment)
                                        : take_memory(bytes_));
    if (!data_) memory_was_refused() = true;
    if (data_ && allocator) std::memset(data_, 0, bytes_);
    return data_ != nullptr;
  }
  std::byte* data() const { return data_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(data_);
  }

 private:
  Allocator allocator_;
  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace attune
