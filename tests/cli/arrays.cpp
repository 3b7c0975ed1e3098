#include "tests/cli/arrays.h"

#include "tests/support/npz.h"

namespace attune::test {

NpyArray reals(std::vector<int64_t> shape, const std::function<double(int64_t)>& element) {
  return array<float>(NpyType::f32, std::move(shape),
                      [&](int64_t i) { return static_cast<float>(element(i)); });
}

NpyArray ints(std::vector<int64_t> shape, const std::function<int64_t(int64_t)>& element) {
  return array<int64_t>(NpyType::i64, std::move(shape), element);
}

void write(const Workshop& shop, const std::string& name, const NpzArrays& arrays) {
  const Bytes bytes = npz_of(arrays);
  shop.write(name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace attune::test
