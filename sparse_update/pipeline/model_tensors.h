#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "attune/plan.h"
#include "graph/import/onnx/onnx_import.h"
#include "graph/ir/graph.h"

namespace attune {

// A parameter as the model stores it.
struct ModelTensor {
  std::string name;
  std::vector<int64_t> dims;
  std::vector<double> reals;  // in the order of the model
  bool fresh = false;         // of a head that the model does not have
  int class_axis = 0;         // of `dims`, where fresh
};

// Undoes our layout: `reals` of a parameter with this origin, in the model's order.
std::vector<double> in_model_order(const std::vector<double>& reals, const Origin& origin);

// The parameters that a plan trains, from a session's state or from a plan's initial one.
std::vector<ModelTensor> trained_tensors(const Plan& plan, std::span<const std::byte> state);

// The elements of an initializer of floats, in the model's order. Throws Error where there is none
// of this name.
std::vector<double> initializer_reals(const OnnxModel& model, const std::string& name);

// A parameter of a graph, with the contents that the graph gives it.
ModelTensor model_tensor(const Value& parameter);

}  // namespace attune
