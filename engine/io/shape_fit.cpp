#include "engine/io/shape_fit.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace attune {
namespace {

std::vector<int64_t> dims_of(const Shape& shape) {
  std::vector<int64_t> dims;
  for (int i = 0; i < shape.rank; ++i) dims.push_back(shape[i]);
  return dims;
}

std::vector<int64_t> without_ones(std::span<const int64_t> dims) {
  std::vector<int64_t> result;
  for (int64_t dim : dims)
    if (dim != 1) result.push_back(dim);
  return result;
}

// The order in which the array's axes make [n, example], the examples first wherever that does;
// empty: none.
std::vector<int> axes_order(std::span<const int64_t> dims, const std::vector<int64_t>& example) {
  constexpr size_t kMostAxes = 6;  // 720 orders
  if (dims.size() != example.size() + 1 || dims.size() > kMostAxes) return {};
  // Channels move to the other end; other axes keep their order.
  std::vector<std::vector<int>> orders;
  if (dims.size() == 4) orders = {{0, 2, 3, 1}, {0, 3, 1, 2}, {3, 0, 1, 2}, {3, 2, 0, 1}};
  std::vector<int> order(dims.size());
  std::iota(order.begin(), order.end(), 0);
  do orders.push_back(order);
  while (std::ranges::next_permutation(order).found);
  for (const std::vector<int>& candidate : orders) {
    bool fits = true;
    for (size_t i = 0; i < example.size(); ++i)
      fits = fits && dims[static_cast<size_t>(candidate[i + 1])] == example[i];
    if (fits) return candidate;
  }
  return {};
}

}  // namespace

bool holds_example(std::span<const int64_t> axes, const Shape& wanted) {
  const std::vector<int64_t> have = without_ones(axes), want = without_ones(dims_of(wanted));
  if (have == want) return true;
  const auto product = [](const std::vector<int64_t>& dims) {
    return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
  };
  const size_t shorter = std::min(have.size(), want.size());
  const size_t longer = std::max(have.size(), want.size());
  return shorter == 1 && longer == 2 && product(have) == product(want);
}

std::string shape_advice(std::string_view name, std::span<const int64_t> dims,
                         const Shape& wanted) {
  const std::string array(name);
  const std::vector<int64_t> example = dims_of(wanted);
  if (std::ranges::equal(dims, example)) return "give one example as " + array + "[None]";
  const std::vector<int> order = axes_order(dims, example);
  if (!order.empty()) {
    std::string text = "write " + array + ".transpose(";
    for (size_t i = 0; i < order.size(); ++i)
      text += (i > 0 ? ", " : "") + std::to_string(order[i]);
    return text + ")";
  }
  if (dims.size() == 2 && dims[0] == 1 && without_ones(example).empty())
    return "write " + array + ".ravel()";
  return "give its axes in the model's order and sizes";
}

}  // namespace attune
