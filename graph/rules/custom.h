#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "graph/rules/rules.h"
#include "kernels/custom.h"

namespace attune {

// What the compiler has to know of an operator of the user's own, beside what a device does.
struct OperatorRule {
  // Registered with the rule. It must outlive the program's use of it.
  const CustomOperator* op = nullptr;
  // Emits the gradient of a node (`emit_custom` and g.emit) and sets that of each input that
  // g.needs. Null: none, so nothing before such a node can be trained.
  void (*gradient)(GradientContext& g) = nullptr;
  // The ONNX node's attributes, numbers, in the order of the operator's parameters, and what one
  // that is absent is.
  struct Attribute {
    std::string name;
    double otherwise = 0;
  };
  std::vector<Attribute> attributes = {};
};

// Makes an operator known to the compiler, and to sessions of this program. Throws Error where
// add_custom_operator refuses it, or it has more attributes than parameters.
void register_operator(const OperatorRule& rule);

// Null where no such operator is registered.
const OperatorRule* find_operator_rule(std::string_view name);

// Emits an operator of the user's own from a gradient rule: "act1/grad" with suffix "grad".
ValueId emit_custom(GradientContext& g, const CustomOperator& op, std::vector<ValueId> inputs,
                    std::initializer_list<double> parameters, const char* suffix);

// Parameter i of a node of such an operator.
double custom_parameter(const Node& node, int i);

}  // namespace attune
