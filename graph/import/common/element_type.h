#pragma once

#include <Eigen/Core>

#include "graph/import/common/known_tensor.h"

namespace attune {

// Calls f with an element of the C++ type that a type's elements have.
template <class F>
auto with_element(ElementType type, F&& f) {
  switch (type) {
#define ELEMENT(name, number, Type) \
  case ElementType::name:           \
    return f(Type{});
#include "graph/import/common/element_types.def"
#undef ELEMENT
  }
  return f(double{});  // Not reached.
}

// A number as an element of the type holds it: reals are rounded (halves by way of a float),
// integers wrap.
template <class T>
T as_element(ElementType type, T number) {
  return with_element(
      type, [&](auto element) { return static_cast<T>(static_cast<decltype(element)>(number)); });
}

}  // namespace attune
