#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <map>
#include <memory>
#include <new>
#include <vector>

namespace onednn_peer {

// Memory that is used again when its last holder lets go of it. As steps are built in the order in
// which they run, two that hold the same memory never need it at the same time.
class Pool {
 public:
  using Hold = std::shared_ptr<void>;

  Hold take(size_t bytes) {
    auto found = free_.lower_bound(bytes);
    // Much too large a block is left to others.
    if (found == free_.end() || found->first > 2 * bytes + kSmall) return share(new_block(bytes));
    const Block block = *found;
    free_.erase(found);
    return share(block);
  }

  // Memory that keeps what is in it: zeros at first.
  Hold keep(size_t bytes) {
    return Hold(new_block(bytes).second, [](void*) {});
  }

 private:
  using Block = std::pair<size_t, void*>;
  static constexpr size_t kAlignment = 64, kSmall = 64 << 10;

  Block new_block(size_t bytes) {
    bytes = std::max((bytes + kAlignment - 1) / kAlignment * kAlignment, kAlignment);
    void* block = std::aligned_alloc(kAlignment, bytes);
    if (!block) throw std::bad_alloc();
    owned_.emplace_back(block, &std::free);
    std::fill_n(static_cast<char*>(block), bytes, 0);
    return {bytes, block};
  }
  Hold share(const Block& block) {
    return Hold(block.second, [this, bytes = block.first](void* b) { free_.emplace(bytes, b); });
  }

  std::vector<std::unique_ptr<void, void (*)(void*)>> owned_;
  std::multimap<size_t, void*> free_;
};

}  // namespace onednn_peer
