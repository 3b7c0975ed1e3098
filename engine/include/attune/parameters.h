#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "attune/dtype.h"
#include "attune/plan.h"
#include "attune/session.h"
#include "attune/status.h"

// What a plan trains, by the model's names and in the model's layout: elements are in the order of
// the model's tensor, whatever order the plan computes in. Nothing here allocates.
#pragma GCC visibility push(default)  // a shared library shows these
namespace attune {

// A parameter of which at least a slice is trained, or a running statistic of a batch norm. What it
// points to is part of the plan.
struct ParameterInfo {
  std::string_view name;  // of the model's tensor
  DType dtype = DType::f32;
  std::span<const int64_t> shape;  // of the model's tensor
  int64_t elements = 1;            // of the whole tensor
  int64_t trained = 0;             // of them, those that training changes; 0 of a statistic
  // Where only channels of one axis of `shape` are trained: that axis, and these, in increasing
  // order. Else -1: all is trained, or (trained < elements) what is no channels of one axis.
  int slice_axis = -1;
  std::span<const int32_t> slice;
  bool head = false;          // of a fresh layer, which the model does not have
  bool statistic = false;     // averaged, not trained
  bool has_gradient = false;  // the plan keeps it: `attune compile --keep-gradients`
  int slots = 0;              // tensors that the optimizer has for it
  size_t bytes() const { return dtype_bytes(dtype, static_cast<size_t>(elements)); }
};

int parameter_count(const Plan& plan);
// In the plan's order; without a name where there is no such parameter.
ParameterInfo parameter(const Plan& plan, int index);
// Fails where the plan trains none of this name.
Status find_parameter(const Plan& plan, std::string_view name, int* index);

// Tensors of a parameter: its value, and what the optimizer keeps for it, one after the other:
// "velocity" of momentum, "m" and "v" of Adam, none of SGD. Empty where there is no such slot.
inline constexpr std::string_view kValueSlot = "value";
std::string_view optimizer_slot(const Plan& plan, int index, int slot);

// All below take ParameterInfo::bytes bytes: the whole tensor, of the parameter's type, also where
// only a slice of it is trained. Memory need not be aligned. Errors name the parameter.

// Copies a tensor. Of what the optimizer keeps for a slice, the rest is zero.
Status get_parameter(const Session& session, int index, std::span<std::byte> elements,
                     std::string_view slot = kValueSlot);
Status get_parameter(const Session& session, std::string_view name, std::span<std::byte> elements,
                     std::string_view slot = kValueSlot);

// Replaces a tensor. Fails, having changed nothing, where an element is not finite, or one that the
// plan does not train differs from what get_parameter gives; the error names the first.
Status set_parameter(Session& session, int index, std::span<const std::byte> elements,
                     std::string_view slot = kValueSlot);
Status set_parameter(Session& session, std::string_view name, std::span<const std::byte> elements,
                     std::string_view slot = kValueSlot);

// Copies the gradient of the loss (the mean over the batch, by the examples' weights; without
// weight decay) that the last run of train_step found: of the parameters as they were before it
// updated them. Zero outside of a trained slice. Fails unless the plan keeps gradients and
// train_step was the last program to run: what is fed or run next overwrites them.
Status get_gradient(const Session& session, int index, std::span<std::byte> elements);
Status get_gradient(const Session& session, std::string_view name, std::span<std::byte> elements);

}  // namespace attune
#pragma GCC visibility pop
