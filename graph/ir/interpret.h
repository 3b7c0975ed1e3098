#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "graph/ir/graph.h"

namespace attune {

// A tensor that owns its bytes.
struct HostTensor {
  DType dtype = DType::f32;
  Shape shape;
  std::vector<std::byte> bytes;

  static HostTensor zeros(DType dtype, const Shape& shape);
  static HostTensor of_reals(DType dtype, const Shape& shape, const std::vector<double>& reals);
  static HostTensor of_ints(DType dtype, const Shape& shape, const std::vector<int64_t>& ints);
  std::vector<double> reals() const;  // any dtype, widened
  template <class T>
  T* as() {
    return reinterpret_cast<T*>(bytes.data());
  }
};

// Runs the graph's nodes in order with the reference kernels, every value in a buffer of its own:
// no plan, no arena. Parameters and constants start from their data, state from zero. `inputs`
// gives every input by port name and may give other parameters, constants and state by value name.
// An update's output is a copy of the old value, which keeps its contents. Returns all values, by
// id. What the planned execution is tested against.
std::vector<HostTensor> interpret(const Graph& graph,
                                  const std::map<std::string, HostTensor>& inputs);

}  // namespace attune
