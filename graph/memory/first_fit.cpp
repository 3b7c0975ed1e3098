#include "graph/memory/first_fit.h"

#include <algorithm>
#include <map>
#include <numeric>

namespace attune {
namespace {

// Bytes from one offset to another.
struct Block {
  int64_t begin, end;
};

class FreeBlocks {
 public:
  // The lowest place for so many bytes.
  int64_t take(int64_t bytes, int64_t alignment) {
    for (auto block = ends_.begin();; ++block) {
      const auto [begin, end] = *block;
      const int64_t at = (begin + alignment - 1) / alignment * alignment;
      if (at + bytes > end) continue;
      ends_.erase(block);
      if (begin < at) ends_[begin] = at;
      if (at + bytes < end) ends_[at + bytes] = end;
      return at;
    }
  }

  void give_back(Block block) {
    auto next = ends_.lower_bound(block.begin);
    if (next != ends_.end() && next->first == block.end) {
      block.end = next->second;
      next = ends_.erase(next);
    }
    if (next != ends_.begin() && std::prev(next)->second == block.begin)
      std::prev(next)->second = block.end;
    else
      ends_[block.begin] = block.end;
  }

 private:
  std::map<int64_t, int64_t> ends_ = {{0, INT64_MAX}};  // by where they begin
};

}  // namespace

FirstFit first_fit(const std::vector<Storage>& storages, const std::vector<int>& items,
                   bool backwards) {
  const auto storage = [&](size_t item) -> const Storage& {
    return storages[static_cast<size_t>(items[item])];
  };
  const auto begin = [&](size_t i) {
    return backwards ? -storage(i).life.last : storage(i).life.first;
  };
  const auto end = [&](size_t i) {
    return backwards ? -storage(i).life.first : storage(i).life.last;
  };
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return begin(a) < begin(b); });
  FirstFit result{std::vector<int64_t>(items.size())};
  FreeBlocks free;
  std::multimap<int, Block> alive;  // by their last step
  for (const size_t i : order) {
    for (; !alive.empty() && alive.begin()->first < begin(i); alive.erase(alive.begin()))
      free.give_back(alive.begin()->second);
    result.pairs += alive.size();
    const int64_t at = result.offsets[i] = free.take(storage(i).bytes, storage(i).alignment);
    const int64_t top = at + storage(i).bytes;
    alive.insert({end(i), {at, top}});
    result.bytes = std::max(result.bytes, top);
  }
  return result;
}

}  // namespace attune
