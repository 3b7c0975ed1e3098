#include "sparse_update/search/mutation.h"

#include <algorithm>

namespace attune {

void mutate(const SearchSpace& space, SchemePoint& point, Random& random) {
  const auto depth = static_cast<uint64_t>(space.depth());
  if (random.below(4) == 0) {
    const auto step = static_cast<int>(random.below(random.below(4) == 0 ? depth + 1 : 4));
    point.bias_last += random.below(2) == 0 ? step : -step;
    point.bias_last = std::clamp(point.bias_last, 0, space.depth());
    return;
  }
  if (point.bias_last == 0) return;
  const size_t layer = depth - 1 - random.below(static_cast<uint64_t>(point.bias_last));
  const uint64_t options = space.layers[layer].options.size();
  point.options[layer] = static_cast<int>(random.below(options + 1)) - 1;
}

void trim(SchemePoint& point) {
  const size_t first = point.options.size() - static_cast<size_t>(point.bias_last);
  std::fill(point.options.begin(), point.options.begin() + static_cast<std::ptrdiff_t>(first), -1);
}

}  // namespace attune
