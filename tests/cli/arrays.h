#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/io/npz.h"
#include "tests/cli/command.h"

// Arrays as NumPy saves them, element by element.
namespace attune::test {

template <class T>
NpyArray array(NpyType type, std::vector<int64_t> shape, const std::function<T(int64_t)>& element) {
  NpyArray made{type, std::move(shape), {}};
  for (int64_t i = 0; i < made.elements(); ++i) {
    const T value = element(i);
    const auto* bytes = reinterpret_cast<const std::byte*>(&value);
    made.bytes.insert(made.bytes.end(), bytes, bytes + sizeof(T));
  }
  return made;
}

NpyArray reals(std::vector<int64_t> shape, const std::function<double(int64_t)>& element);
NpyArray ints(std::vector<int64_t> shape, const std::function<int64_t(int64_t)>& element);

// An .npz in the workshop.
void write(const Workshop& shop, const std::string& name, const NpzArrays& arrays);

}  // namespace attune::test
