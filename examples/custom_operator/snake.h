#pragma once

#include "attune/custom_operator.h"

// What a device knows of Snake: y = x + sin(a x)^2 / a, with one parameter, the frequency a > 0. An
// activation for what is periodic (Ziyin, Hartwig, Ueda: Neural Networks Fail to Learn Periodic
// Functions and How to Fix It, 2020).
extern const attune::CustomOperator kSnake;
// Its gradient, of dy and x.
extern const attune::CustomOperator kSnakeGrad;

attune::Status register_snake();
