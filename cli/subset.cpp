#include "cli/subset.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/random.h"
#include "graph/ir/error.h"

namespace attune::cli {

Split split_examples(int64_t size, double fraction, uint64_t seed) {
  if (size < 2)
    throw_error(
        "--validation-split: {} examples cannot be split; give --validation with other data", size);
  const auto count =
      std::clamp<int64_t>(std::llround(fraction * static_cast<double>(size)), 1, size - 1);
  // A stream of its own: no epoch has this number.
  std::vector<int64_t> order(static_cast<size_t>(size));
  shuffled_order(Random(seed, std::numeric_limits<uint64_t>::max()), size, order.data());
  Split split;
  split.training.assign(order.begin(), order.end() - count);
  split.validation.assign(order.end() - count, order.end());
  std::sort(split.training.begin(), split.training.end());
  std::sort(split.validation.begin(), split.validation.end());
  return split;
}

}  // namespace attune::cli
