#include "graph/memory/packing_bound.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace attune {
namespace {

constexpr int kMaxStarts = 60;     // steps from which sets are grown
constexpr int kMaxExchanges = 50;  // from each

class BoundSearch {
 public:
  BoundSearch(const StorageMap& storage, int steps) : live_(storage.live_bytes(steps)) {
    for (size_t s = 0; s < storage.storages.size(); ++s)
      for (const StorageRange& range : storage.storages[s].ranges) {
        Range flat{static_cast<int>(s), range.bytes, std::vector<uint64_t>(live_.size() / 64 + 1)};
        for (const Life& life : range.lives)
          for (int step = life.first; step <= life.last; ++step)
            flat.steps[entry(step) / 64] |= uint64_t{1} << entry(step) % 64;
        ranges_.push_back(std::move(flat));
      }
  }

  int64_t run(int64_t enough) {
    std::vector<size_t> by_bytes(live_.size());
    std::iota(by_bytes.begin(), by_bytes.end(), 0);
    std::stable_sort(by_bytes.begin(), by_bytes.end(),
                     [&](size_t a, size_t b) { return live_[a] > live_[b]; });
    int64_t most = live_[by_bytes.front()], before = -1;
    int starts = 0;
    for (size_t at : by_bytes) {
      if (most >= enough || starts == kMaxStarts) break;
      if (live_[at] == before) continue;
      before = live_[at];
      ++starts;
      most = std::max(most, grow(at));
    }
    return most;
  }

 private:
  struct Range {
    int storage;
    int64_t bytes;
    std::vector<uint64_t> steps;  // a bit each, by entry
  };

  // As in StorageMap::live_bytes: entry 0 is before the first step.
  static size_t entry(int step) { return static_cast<size_t>(step + 1); }

  const Range& range(int r) const { return ranges_[static_cast<size_t>(r)]; }

  bool apart(const Range& a, const Range& b) const {
    if (a.storage == b.storage) return true;
    for (size_t w = 0; w < a.steps.size(); ++w)
      if (a.steps[w] & b.steps[w]) return true;
    return false;
  }

  // The bytes of a set grown from what is alive at one entry.
  int64_t grow(size_t at) {
    set_.clear();
    in_set_.assign(ranges_.size(), false);
    for (size_t r = 0; r < ranges_.size(); ++r)
      if (ranges_[r].steps[at / 64] >> at % 64 & 1) add(static_cast<int>(r));
    for (int i = 0; i < kMaxExchanges; ++i)
      if (!exchange()) break;
    return std::accumulate(set_.begin(), set_.end(), int64_t{0},
                           [&](int64_t sum, int r) { return sum + range(r).bytes; });
  }

  void add(int r) {
    set_.push_back(r);
    in_set_[static_cast<size_t>(r)] = true;
  }

  // Makes the best exchange of one range for all that it alone keeps out.
  bool exchange() {
    const std::vector<std::vector<int>> kept_out = kept_out_by();
    const std::vector<int>& free = kept_out.back();
    int64_t best = 0;
    size_t best_out = 0;
    std::vector<int> best_in;
    for (size_t out = 0; out < kept_out.size(); ++out) {
      const bool none = out == set_.size();
      std::vector<int> in = kept_out[out];
      if (!none) in.insert(in.end(), free.begin(), free.end());
      in = apart_among(std::move(in));
      int64_t gain = none ? 0 : -range(set_[out]).bytes;
      for (int r : in) gain += range(r).bytes;
      if (gain > best) best = gain, best_out = out, best_in = std::move(in);
    }
    if (best == 0) return false;
    if (best_out < set_.size()) {
      in_set_[static_cast<size_t>(set_[best_out])] = false;
      set_.erase(set_.begin() + static_cast<std::ptrdiff_t>(best_out));
    }
    for (int r : best_in) add(r);
    return true;
  }

  // By element of the set: what it alone keeps out. The last: what nothing does.
  std::vector<std::vector<int>> kept_out_by() const {
    std::vector<std::vector<int>> result(set_.size() + 1);
    for (size_t r = 0; r < ranges_.size(); ++r) {
      if (in_set_[r]) continue;
      size_t keeper = set_.size();
      bool several = false;
      for (size_t i = 0; i < set_.size() && !several; ++i) {
        if (apart(ranges_[r], range(set_[i]))) continue;
        several = keeper < set_.size();
        keeper = i;
      }
      if (!several) result[keeper].push_back(static_cast<int>(r));
    }
    return result;
  }

  // Of these, some of which any two are apart; the largest first.
  std::vector<int> apart_among(std::vector<int> ranges) const {
    std::stable_sort(ranges.begin(), ranges.end(),
                     [&](int a, int b) { return range(a).bytes > range(b).bytes; });
    std::vector<int> chosen;
    for (int r : ranges)
      if (std::all_of(chosen.begin(), chosen.end(),
                      [&](int c) { return apart(range(r), range(c)); }))
        chosen.push_back(r);
    return chosen;
  }

  const std::vector<int64_t> live_;  // by entry
  std::vector<Range> ranges_;
  std::vector<int> set_;
  std::vector<bool> in_set_;
};

}  // namespace

int64_t packing_bound(const StorageMap& storage, int steps, int64_t enough) {
  return BoundSearch(storage, steps).run(enough);
}

}  // namespace attune
