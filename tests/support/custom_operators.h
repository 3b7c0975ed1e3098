#pragma once

#include "kernels/custom.h"

namespace attune::test {

// Operators as a user registers them. Of x [N,..,C] and a [C], y = x + strength * sin(a x)^2 / a
// ("Snake"; Ziyin and others, 2020), and what its gradient is made of, from dy, x, a.
extern const CustomOperator kSnake, kSnakeGrad, kSnakeGradA;
// Subtracts the mean over all elements, those of other examples too; without a gradient, and in f32
// alone.
extern const CustomOperator kCentre;

// Makes them known to a device, or with their rules to the compiler as well. Doing it again is fine.
void add_test_operators();
void register_test_operators();

}  // namespace attune::test
