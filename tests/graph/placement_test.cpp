// Where storages fit, and where it is said that they do not.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "graph/memory/exact/exact_packing.h"
#include "graph/memory/packing_bound.h"
#include "tests/support/storages.h"

namespace attune::test {
namespace {

constexpr int64_t kMostWork = 300'000'000;

Storage block(int first, int last, int64_t bytes) {
  Storage storage;
  storage.bytes = bytes, storage.alignment = 64, storage.life = {first, last};
  storage.in_arena = true;
  storage.ranges = {{0, bytes, {{first, last}}}};
  return storage;
}

Packable packs(const std::vector<Storage>& storages, int64_t bytes, int64_t most = kMostWork,
               std::vector<int64_t>* offsets = nullptr) {
  std::vector<const Storage*> pointers;
  for (const Storage& storage : storages) pointers.push_back(&storage);
  return pack_within(pointers, bytes, most, offsets);
}

TEST_CASE("the exhaustive search knows what fits") {
  const std::vector<Storage> stack = {block(0, 1, 128), block(1, 2, 64), block(2, 3, 128)};
  CHECK(packs(stack, 192) == Packable::yes);
  CHECK(packs(stack, 191) == Packable::no);
  CHECK(packs({block(0, 0, 128)}, 64) == Packable::no);
  CHECK(packs(stack, 192, 0) == Packable::unknown);
  // Five of one size that meet their neighbours in a ring: two places are too few for an odd ring,
  // though never more than two are alive.
  std::vector<Storage> ring;
  for (int i = 0; i < 5; ++i) {
    ring.push_back(block(0, 0, 64));
    ring.back().ranges[0].lives = {{i, i}, {i + 1, i + 1}};
  }
  ring.back().ranges[0].lives = {{0, 0}, {4, 4}};
  CHECK(packs(ring, 128) == Packable::no);
  CHECK(packs(ring, 192) == Packable::yes);
  // A body with a notch, into which the other one fits.
  Storage notched = block(0, 1, 192);
  notched.ranges = {{0, 64, {{0, 1}}}, {64, 64, {{0, 0}}}, {128, 64, {{0, 1}}}};
  CHECK(packs({notched, block(1, 1, 64)}, 192) == Packable::yes);
  CHECK(packs({notched, block(1, 1, 128)}, 192) == Packable::no);
}

TEST_CASE("storages that share places meet where they never do at one step") {
  StorageMap map;
  for (int i = 0; i < 3; ++i) map.storages.push_back(block(0, 2, 64));
  // Every two meet at one step, the three at none.
  map.storages[0].ranges[0].lives = {{0, 0}, {2, 2}};
  map.storages[1].ranges[0].lives = {{0, 1}};
  map.storages[2].ranges[0].lives = {{1, 2}};
  CHECK(map.lower_bound(3) == 128);
  CHECK(packing_bound(map, 3, 1000) == 192);
  CHECK(packing_bound(map, 3, 128) == 128);
  CHECK(packs(map.storages, 128) == Packable::no);
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

struct Part {
  int64_t bytes;
  std::vector<int> steps;
};

Storage storage_of(int64_t alignment, const std::vector<Part>& parts) {
  Storage storage;
  storage.alignment = alignment, storage.in_arena = true;
  for (const Part& part : parts) {
    StorageRange range{storage.bytes, part.bytes, {}};
    for (int step : part.steps) range.lives.push_back({step, step});
    storage.bytes += part.bytes;
    storage.ranges.push_back(range);
  }
  storage.bytes = (storage.bytes + alignment - 1) / alignment * alignment;
  return storage;
}

TEST_CASE("a circle of storages that only rounding up raises has an end") {
  const std::vector<Storage> storages = {
      storage_of(64, {{128, {0, 4}}, {128, {4, 6}}}),
      storage_of(4, {{4, {0, 4}}}),
      storage_of(64, {{64, {0, 4, 6}}}),
      storage_of(4, {{16, {6}}}),
      storage_of(64, {{64, {4, 6}}, {128, {1, 5}}, {128, {4, 6}}, {64, {4}}}),
      storage_of(4, {{20, {4}}}),
      storage_of(64, {{64, {4}}, {128, {1, 4, 6}}, {128, {0, 2, 4}}, {64, {4}}})};
  constexpr int64_t kArena = int64_t{4} << 20;  // 65,536 times round
  std::vector<int64_t> offsets = {212, 124, 252, 360, 72, 124, 172};
  REQUIRE(packs(storages, kArena, 1'000'000, &offsets) == Packable::yes);
  check_places(storages, offsets, kArena);
}

TEST_CASE("ranges of no bytes are in nobody's way") {
  Storage split = block(2, 2, 128);
  split.ranges = {{0, 64, {{2, 2}}}, {64, 0, {{0, 0}}}, {64, 64, {{2, 2}}}};
  const Storage other = storage_of(64, {{64, {0}}, {64, {0, 1}}});
  CHECK(packs({split, other}, 128) == Packable::yes);
  CHECK(packs({}, 0) == Packable::yes);
  CHECK(packs({}, -1) == Packable::no);
}

// A storage of some ranges, each of which lives a few times, with or without gaps between them.
Storage random_storage(std::mt19937& random, int64_t least_alignment = 32) {
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<uint32_t>(n)); };
  Storage storage;
  storage.alignment = below(4) == 0 ? least_alignment : 64;
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
  return storage;
}

TEST_CASE("what the exhaustive search finds is the least of all placements") {
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
    std::vector<int64_t> offsets;
    REQUIRE(packs(storages, least, kMostWork, &offsets) == Packable::yes);
    check_places(storages, offsets, least);
    CHECK(packs(storages, least - 32) == Packable::no);
    // Started from somewhere else it ends with the same.
    std::vector<int64_t> elsewhere(storages.size());
    for (size_t i = 0; i < storages.size(); ++i)
      elsewhere[i] = static_cast<int64_t>(random() % 9) * 64;
    std::vector<int64_t> too_high = elsewhere;
    CHECK(packs(storages, least - 32, kMostWork, &elsewhere) == Packable::no);
    REQUIRE(packs(storages, least, kMostWork, &too_high) == Packable::yes);
    check_places(storages, too_high, least);
  }
  CHECK(notched > 60);
}

TEST_CASE("storages with much more room than they need are placed soon") {
  std::mt19937 random(17);
  constexpr int64_t kArena = int64_t{4} << 20;
  for (int repeat = 0; repeat < 500; ++repeat) {
    CAPTURE(repeat);
    std::vector<Storage> storages(2 + static_cast<size_t>(repeat % 8));
    for (Storage& storage : storages) storage = random_storage(random, 4);
    std::vector<int64_t> offsets(storages.size());
    for (int64_t& offset : offsets) offset = static_cast<int64_t>(random() % 100) * 4;
    REQUIRE(packs(storages, kArena, 1'000'000, &offsets) == Packable::yes);
    check_places(storages, offsets, kArena);
  }
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

TEST_CASE("pieces that were cut from one are put together again") {
  std::mt19937 random(11);
  int together = 0;
  for (int repeat = 0; repeat < 40; ++repeat) {
    CAPTURE(repeat);
    const std::vector<Storage> storages = cut(10 + 4 * repeat, random, 64 * 400);
    std::vector<int64_t> offsets;
    const Packable packable = packs(storages, 64 * 400, 20'000'000, &offsets);
    CHECK(packable != Packable::no);
    CHECK(packs(storages, 64 * 399) == Packable::no);
    if (packable != Packable::yes) continue;
    check_places(storages, offsets, 64 * 400);
    ++together;
  }
  CHECK(together > 30);
}

TEST_CASE("the exhaustive search gives the same places again") {
  std::mt19937 random(13);
  const std::vector<Storage> storages = cut(30, random, 64 * 100);
  std::vector<int64_t> once, again;
  REQUIRE(packs(storages, 64 * 100, kMostWork, &once) == Packable::yes);
  REQUIRE(packs(storages, 64 * 100, kMostWork, &again) == Packable::yes);
  CHECK(once == again);
}

}  // namespace
}  // namespace attune::test
