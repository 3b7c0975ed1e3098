#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "attune/shape.h"

namespace attune {

// Whether an array of examples' axes, the first one left out, hold the example `wanted` as they
// lie: they differ in axes of length 1 alone, or one of both is a single axis and the other has no
// channels, whose place could be another.
bool holds_example(std::span<const int64_t> axes, const Shape& wanted);

// What to do with an array `name` of `dims`, the first of them the examples, that does not hold
// `wanted`: "write x.transpose(0, 2, 3, 1)".
std::string shape_advice(std::string_view name, std::span<const int64_t> dims, const Shape& wanted);

}  // namespace attune
