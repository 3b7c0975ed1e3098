// Contents known at compile time: views of shared bytes, held against plain loops.
#include "graph/ir/data.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace attune::test {
namespace {

std::vector<float> counted(size_t size) {
  std::vector<float> elements(size);
  std::iota(elements.begin(), elements.end(), 1.0f);
  return elements;
}

// Element by element: `from` of shape `dims`, transposed.
std::vector<double> transposed(const std::vector<double>& from, const std::vector<int64_t>& dims,
                               const std::vector<int>& perm) {
  std::vector<double> to(from.size());
  for (size_t flat = 0; flat < to.size(); ++flat) {
    auto rest = static_cast<int64_t>(flat);
    int64_t at = 0;
    for (size_t i = perm.size(); i-- > 0;) {
      const auto axis = static_cast<size_t>(perm[i]);
      int64_t stride = 1;
      for (size_t j = axis + 1; j < dims.size(); ++j) stride *= dims[j];
      at += rest % dims[axis] * stride;
      rest /= dims[axis];
    }
    to[flat] = from[static_cast<size_t>(at)];
  }
  return to;
}

}  // namespace

TEST_CASE("a transposed view has the elements of a transposed copy, through reshapes as well") {
  const std::vector<float> elements = counted(2 * 3 * 4 * 5);
  const DataPtr data = Data::view(Data::Type::f32, elements.data(), elements.size(), nullptr);
  const std::vector<int64_t> shapes[] = {{2, 3, 4, 5}, {6, 20}, {1, 8, 1, 15}, {120}, {5, 4, 3, 2}};
  for (const auto& first : shapes)
    for (const auto& second : shapes) {
      std::vector<int> perm(first.size());
      std::iota(perm.begin(), perm.end(), 0);
      do {
        const DataPtr once = data->permuted(first, perm);
        const std::vector<double> want = transposed(data->reals(), first, perm);
        CHECK(once->bytes() == elements.data());
        CHECK(once->reals() == want);
        std::vector<int> reversed(second.size());
        std::iota(reversed.rbegin(), reversed.rend(), 0);
        CHECK(once->permuted(second, reversed)->reals() == transposed(want, second, reversed));
      } while (std::next_permutation(perm.begin(), perm.end()));
    }
}

TEST_CASE("a broadcast view repeats elements and holds no more bytes") {
  using Reals = std::vector<double>;
  const std::vector<float> elements = counted(6);
  const DataPtr data = Data::view(Data::Type::f32, elements.data(), elements.size(), nullptr);
  const DataPtr rows = data->broadcast({3, 1, 2}, {2, 3, 2, 2});
  const Reals twice = {1, 2, 1, 2, 3, 4, 3, 4, 5, 6, 5, 6};
  Reals want = twice;
  want.insert(want.end(), twice.begin(), twice.end());
  CHECK(rows->reals() == want);
  CHECK(rows->bytes() == elements.data());
  CHECK(rows->permuted({2, 3, 2, 2}, {3, 0, 1, 2})->reals() ==
        transposed(want, {2, 3, 2, 2}, {3, 0, 1, 2}));
  CHECK(rows->permuted({4, 6}, {1, 0})->reals() == transposed(want, {4, 6}, {1, 0}));
  // Transposed, scaled and repeated before.
  CHECK(data->permuted({2, 3}, {1, 0})->broadcast({3, 2, 1}, {3, 2, 2})->reals() ==
        Reals{1, 1, 4, 4, 2, 2, 5, 5, 3, 3, 6, 6});
  CHECK(data->scaled({2, 1}, 1)->broadcast({6, 1}, {6, 2})->reals() ==
        Reals{2, 2, 2, 2, 6, 6, 4, 4, 10, 10, 6, 6});
  CHECK(rows->broadcast({1, 24}, {2, 24})->size() == 48);
  // Without elements, from one or from none.
  CHECK(Data::of_ints({7})->broadcast({1}, {3, 0})->ints().empty());
  CHECK(Data::of_ints({})->broadcast({0, 1}, {0, 4})->ints().empty());
  CHECK(Data::of_ints({7})->broadcast({}, {2})->ints() == std::vector<int64_t>{7, 7});
}

TEST_CASE("any range of a view is read as it lies in the whole") {
  const std::vector<float> elements = counted(7 * 6 * 5);
  const DataPtr data = Data::copy(Data::Type::f32, elements.data(), elements.size())
                           ->permuted({7, 6, 5}, {2, 0, 1})
                           ->scaled({0.5, 3, 0.1}, 4);
  const std::vector<double> whole = data->reals();
  for (size_t first = 0; first < whole.size(); ++first)
    for (const size_t count : {size_t{0}, size_t{1}, size_t{13}, whole.size() - first}) {
      if (first + count > whole.size()) continue;
      std::vector<double> part(count);
      data->read(first, part);
      CHECK(std::equal(part.begin(), part.end(), whole.begin() + static_cast<ptrdiff_t>(first)));
    }
}

TEST_CASE("factors multiply in double") {
  const std::vector<float> elements = {0.1f, 0.2f, 0.3f, 0.4f};
  const DataPtr data = Data::copy(Data::Type::f32, elements.data(), 4);
  const DataPtr scaled = data->scaled({0.7, 1.0 / 3}, 1);
  for (size_t i = 0; i < 4; ++i)
    CHECK(scaled->reals()[i] == static_cast<double>(elements[i]) * (i % 2 == 0 ? 0.7 : 1.0 / 3));
  // What comes after them sees their products.
  CHECK(scaled->scaled({2}, 4)->reals()[1] == scaled->reals()[1] * 2);
  CHECK(scaled->permuted({2, 2}, {1, 0})->reals() == transposed(scaled->reals(), {2, 2}, {1, 0}));
  CHECK(scaled->same_view(*data->scaled({0.7, 1.0 / 3}, 1)));
  CHECK(!scaled->same_view(*data->scaled({0.7, 1.0 / 3}, 2)));
  CHECK(!scaled->same_view(*data));
}

TEST_CASE("bytes need no alignment, and live as long as the last view of them") {
  auto bytes = std::make_shared<std::vector<char>>(1 + 3 * sizeof(double));
  const double reals[] = {1.5, -2, 1e300};
  std::memcpy(bytes->data() + 1, reals, sizeof(reals));
  DataPtr view = Data::view(Data::Type::f64, bytes->data() + 1, 3, bytes);
  const std::weak_ptr<std::vector<char>> watched = bytes;
  bytes.reset();
  view = view->permuted({3, 1}, {1, 0})->scaled({1}, 3);
  CHECK(view->reals() == std::vector<double>{1.5, -2, 1e300});
  view.reset();
  CHECK(watched.expired());
}

TEST_CASE("halves and integers are read as what they are") {
  const uint16_t halves[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0xfc00, 0x8000, 0x7e00};
  const std::vector<double> reals = Data::copy(Data::Type::f16, halves, 7)->reals();
  CHECK(reals[0] == 1);
  CHECK(reals[1] == -2);
  CHECK(reals[2] == std::ldexp(1, -24));
  CHECK(reals[3] == 65504);
  CHECK(reals[4] == -std::numeric_limits<double>::infinity());
  CHECK(std::signbit(reals[5]));
  CHECK(std::isnan(reals[6]));
  const DataPtr ints = Data::of_ints({1, 2, 3, 4, 5, std::numeric_limits<int64_t>::min()});
  CHECK(!ints->is_real());
  CHECK(ints->permuted({2, 3}, {1, 0})->ints() ==
        std::vector<int64_t>{1, 4, 2, 5, 3, std::numeric_limits<int64_t>::min()});
  CHECK(ints->reals().empty());
  CHECK(Data::of_reals({})->permuted({0, 3}, {1, 0})->reals().empty());
}

}  // namespace attune::test
