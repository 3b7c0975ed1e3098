#pragma once

#include <initializer_list>
#include <span>
#include <string_view>

#include "attune/custom_kernel.h"
#include "kernels/attrs.h"

// Operators of the user's own, as the library knows them: attune/custom_kernel.h says what one is.
namespace attune {

// Null where no such operator is registered.
const CustomOperator* find_custom_operator(std::string_view name);
const CustomOperator* find_custom_operator(const CustomAttrs& attrs);

// Attributes, and what is in them. A name that is too long is cut off.
CustomAttrs custom_attrs(std::string_view name, std::initializer_list<double> parameters = {});
std::string_view custom_name(const CustomAttrs& attrs);

// What a step of it makes: null, or what is wrong. `real`: the type that it computes in.
const char* custom_output(const CustomAttrs& attrs, std::span<const Tensor> inputs, DType real,
                          Shape* output);

}  // namespace attune
