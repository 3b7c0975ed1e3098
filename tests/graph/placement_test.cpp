// Where the search over orders places storages, and how many bytes that takes.
#include <doctest/doctest.h>

#include <algorithm>
#include <numeric>
#include <random>

#include "graph/memory/first_fit.h"
#include "graph/memory/order_search.h"
#include "tests/support/storages.h"

namespace attune::test {
namespace {

constexpr size_t kWork = 10'000'000;

Storage block(int first, int last, int64_t bytes) {
  Storage storage;
  storage.bytes = bytes, storage.alignment = 64, storage.life = {first, last};
  storage.in_arena = true;
  storage.ranges = {{0, bytes, {{first, last}}}};
  return storage;
}

void check_places(const std::vector<Storage>& storages, const std::vector<int64_t>& offsets,
                  int64_t bytes) {
  REQUIRE(offsets.size() == storages.size());
  for (size_t i = 0; i < storages.size(); ++i) {
    REQUIRE(offsets[i] >= 0);
    REQUIRE(offsets[i] % storages[i].alignment == 0);
    REQUIRE(offsets[i] + storages[i].bytes <= bytes);
    for (size_t j = 0; j < i; ++j)
      REQUIRE_FALSE(overlap(storages[i], offsets[i], storages[j], offsets[j]));
  }
}

// The offsets that the search finds, checked; `enough` as in OrderSearch::run.
Placed packed(const std::vector<Storage>& storages, int64_t enough) {
  StorageMap map;
  map.storages = storages;
  int last = 0;
  for (const Storage& storage : storages) last = std::max(last, storage.life.last);
  std::vector<int> items(storages.size());
  std::iota(items.begin(), items.end(), 0);
  Packing packing(storages, items);
  OrderSearch search(packing, map.live_bytes(last + 1));
  search.run(enough, kWork);
  check_places(storages, search.best().offsets, search.best().bytes);
  return search.best();
}

TEST_CASE("storages lie where others are dead, and in their notches") {
  CHECK(packed({block(0, 1, 128), block(1, 2, 64), block(2, 3, 128)}, 0).bytes == 192);
  CHECK(packed({block(0, 0, 128)}, 0).bytes == 128);
  // Five of one size that meet their neighbours in a ring: two places are too few for an odd ring,
  // though never more than two are alive.
  std::vector<Storage> ring;
  for (int i = 0; i < 5; ++i) {
    ring.push_back(block(i, i + 1, 64));
    ring.back().ranges[0].lives = {{i, i}, {i + 1, i + 1}};
  }
  ring.back() = block(0, 4, 64);
  ring.back().ranges[0].lives = {{0, 0}, {4, 4}};
  CHECK(packed(ring, 0).bytes == 192);
  Storage notched = block(0, 1, 192);
  notched.ranges = {{0, 64, {{0, 1}}}, {64, 64, {{0, 0}}}, {128, 64, {{0, 1}}}};
  CHECK(packed({notched, block(1, 1, 64)}, 0).bytes == 192);
  CHECK(packed({notched, block(1, 1, 128)}, 0).bytes == 320);
}

TEST_CASE("storages that share places meet where they never do at one step") {
  StorageMap map;
  for (int i = 0; i < 3; ++i) map.storages.push_back(block(0, 2, 64));
  // Every two meet at one step, the three at none.
  map.storages[0].ranges[0].lives = {{0, 0}, {2, 2}};
  map.storages[1].ranges[0].lives = {{0, 1}};
  map.storages[2].ranges[0].lives = {{1, 2}};
  CHECK(map.lower_bound(3) == 128);
  CHECK(packed(map.storages, 0).bytes == 192);
}

// Tries every place of every storage, one after the other.
bool fits(const std::vector<Storage>& storages, int64_t bytes, std::vector<int64_t>* offsets) {
  const size_t next = offsets->size();
  if (next == storages.size()) return true;
  const Storage& storage = storages[next];
  for (int64_t at = 0; at + storage.bytes <= bytes; at += storage.alignment) {
    bool free = true;
    for (size_t i = 0; i < next && free; ++i)
      free = !overlap(storage, at, storages[i], (*offsets)[i]);
    if (!free) continue;
    offsets->push_back(at);
    if (fits(storages, bytes, offsets)) return true;
    offsets->pop_back();
  }
  return false;
}

// A storage of some ranges, each of which lives a few times, with or without gaps between them.
Storage random_storage(std::mt19937& random) {
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<uint32_t>(n)); };
  Storage storage;
  storage.alignment = below(4) == 0 ? 32 : 64;
  storage.in_arena = true;
  for (int ranges = 1 + below(3); ranges > 0; --ranges) {
    StorageRange range{storage.bytes, storage.alignment * (1 + below(3)), {}};
    storage.bytes += range.bytes;
    for (int first = below(6); first < 12 && range.lives.size() < 3; first += 2 + below(4)) {
      range.lives.push_back({first, first + below(4)});
      first = range.lives.back().last;
    }
    storage.ranges.push_back(range);
  }
  storage.life = {storage.ranges[0].lives.front().first, storage.ranges[0].lives.back().last};
  for (const StorageRange& range : storage.ranges) {
    storage.life.first = std::min(storage.life.first, range.lives.front().first);
    storage.life.last = std::max(storage.life.last, range.lives.back().last);
  }
  return storage;
}

TEST_CASE("few storages are packed into the least of all placements") {
  std::mt19937 random(7);
  int notched = 0;
  for (int repeat = 0; repeat < 120; ++repeat) {
    CAPTURE(repeat);
    std::vector<Storage> storages(2 + static_cast<size_t>(repeat % 5));
    for (Storage& storage : storages) storage = random_storage(random);
    for (const Storage& storage : storages) notched += storage.ranges.size() > 1 ? 1 : 0;
    int64_t least = 32;
    for (std::vector<int64_t> offsets; !fits(storages, least, &offsets); offsets.clear())
      least += 32;
    CHECK(packed(storages, least).bytes == least);
  }
  CHECK(notched > 60);
}

// One piece of steps and bytes, cut in two again and again: every step is full.
std::vector<Storage> cut(int pieces, std::mt19937& random, int64_t bytes) {
  std::vector<Storage> storages = {block(0, 63, bytes)};
  while (static_cast<int>(storages.size()) < pieces) {
    Storage& whole = storages[random() % storages.size()];
    const StorageRange range = whole.ranges[0];
    const Life life = range.lives[0];
    if (random() % 2 == 0 && life.last > life.first) {
      const int middle =
          life.first + static_cast<int>(random() % static_cast<uint32_t>(life.last - life.first));
      whole = block(life.first, middle, range.bytes);
      storages.push_back(block(middle + 1, life.last, range.bytes));
    } else if (range.bytes > 64) {
      const int64_t part = 64 * (1 + static_cast<int64_t>(random()) % (range.bytes / 64 - 1));
      whole = block(life.first, life.last, part);
      storages.push_back(block(life.first, life.last, range.bytes - part));
    }
  }
  std::shuffle(storages.begin(), storages.end(), random);
  return storages;
}

TEST_CASE("pieces that were cut from one are put together again, but for a tenth") {
  std::mt19937 random(11);
  int together = 0;
  for (int repeat = 0; repeat < 40; ++repeat) {
    CAPTURE(repeat);
    constexpr int64_t kWhole = 64 * 400;
    const int64_t bytes = packed(cut(10 + 4 * repeat, random, kWhole), kWhole).bytes;
    CHECK(bytes >= kWhole);
    CHECK(bytes <= kWhole * 11 / 10);
    together += bytes == kWhole ? 1 : 0;
  }
  CHECK(together >= 20);
}

TEST_CASE("first fit places storages where nothing else lies, forwards and backwards") {
  const auto fitted = [](const std::vector<Storage>& storages, bool backwards) {
    std::vector<int> items(storages.size());
    std::iota(items.begin(), items.end(), 0);
    const FirstFit fit = first_fit(storages, items, backwards);
    check_places(storages, fit.offsets, fit.bytes);
    return fit;
  };
  std::mt19937 random(17);
  for (int repeat = 0; repeat < 100; ++repeat) {
    CAPTURE(repeat);
    std::vector<Storage> storages(40);
    for (Storage& storage : storages) storage = random_storage(random);
    size_t pairs = 0;
    for (size_t a = 0; a < storages.size(); ++a)
      for (size_t b = 0; b < a; ++b)
        pairs += storages[a].life.first <= storages[b].life.last &&
                 storages[b].life.first <= storages[a].life.last;
    CHECK(fitted(storages, false).pairs == pairs);
    CHECK(fitted(storages, true).pairs == pairs);
  }
  // What is freed is one place again, for what is larger.
  CHECK(fitted({block(0, 1, 64), block(0, 1, 64), block(2, 3, 128)}, false).bytes == 128);
  // Backwards, what dies last lies below: the other way, the short one does.
  const std::vector<Storage> stairs = {block(0, 0, 64), block(0, 1, 128), block(1, 1, 128)};
  CHECK(fitted(stairs, false).bytes == 320);
  CHECK(fitted(stairs, true).bytes == 256);
}

TEST_CASE("the search stops where there are enough bytes, and gives the same places again") {
  std::mt19937 random(13);
  const std::vector<Storage> storages = cut(60, random, 64 * 100);
  CHECK(packed(storages, 64 * 100).offsets == packed(storages, 64 * 100).offsets);
  CHECK(packed(storages, INT64_MAX).bytes >= packed(storages, 64 * 100).bytes);
}

}  // namespace
}  // namespace attune::test
