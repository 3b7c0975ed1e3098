#pragma once

#include <cstdint>
#include <string_view>

#include "attune/tensor.h"

namespace attune {

// What a port of a program is for. Ids are part of the plan format: append only.
enum class PortRole : uint8_t {
  input = 0,     // the model's own
  label = 1,     // classes, i32
  target = 2,    // of a regression
  weight = 3,    // of each example, or of each of its positions
  rate = 4,      // the learning rate [1]
  step = 5,      // the number of the optimizer's step [1], i32, from 1 on
  loss = 6,      // [1]
  metric = 7,    // [1]
  output = 8,    // the model's own, and what is made of them for prediction
  gradient = 9,  // of a parameter, where the plan was asked for them
  // By how much the action that an example's label is did better than expected: policy_gradient.
  advantage = 10,
};
inline constexpr int kPortRoleCount = 11;

constexpr const char* role_name(PortRole role) {
  constexpr const char* kNames[kPortRoleCount] = {"input",  "label",    "target",   "weight",
                                                  "rate",   "step",     "loss",     "metric",
                                                  "output", "gradient", "advantage"};
  return kNames[static_cast<int>(role)];
}

// Whether the caller fills ports of this role before a run; else a run fills them.
constexpr bool is_fed(PortRole role) {
  return role <= PortRole::step || role == PortRole::advantage;
}

// The name of the port that training adds for a role; empty for the model's own, whose names are
// theirs, and must be others than these.
constexpr const char* port_name(PortRole role) {
  constexpr const char* kNames[kPortRoleCount] = {
      "",     "labels",  "targets", "weights", "learning_rate", "step",
      "loss", "correct", "",        "",        "advantages"};
  return kNames[static_cast<int>(role)];
}

// An output of this prefix is the gradient of the parameter that follows it.
inline constexpr std::string_view kGradientPrefix = "grad:";
constexpr bool is_gradient_of(PortRole role, std::string_view port, std::string_view parameter) {
  return role == PortRole::gradient && port.starts_with(kGradientPrefix) &&
         port.substr(kGradientPrefix.size()) == parameter;
}

// The role that a port has by its name.
constexpr PortRole port_role(std::string_view name, bool fed) {
  for (int r = 0; r < kPortRoleCount; ++r)
    if (const auto role = static_cast<PortRole>(r); is_fed(role) == fed && name == port_name(role))
      return role;
  if (fed) return PortRole::input;
  return name.starts_with(kGradientPrefix) ? PortRole::gradient : PortRole::output;
}

// A port in a session's memory.
struct SessionPort {
  std::string_view name;
  PortRole role = PortRole::input;
  Tensor tensor;      // absent: no such port
  int32_t limit = 0;  // > 0: integers are 0 .. limit - 1 (classes, rows of a table)
  explicit operator bool() const { return static_cast<bool>(tensor); }
};

}  // namespace attune
