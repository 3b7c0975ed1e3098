#pragma once

#include <string>

#include "graph/plan/write_plan.h"

namespace attune {

// The step of a program during which the most bytes of its arena are alive; -1: before the first,
// the number of steps: after the last.
int fullest_step(const PlanProgram& program);

// What is behind a number that is too large: the `count` largest, and what each takes.
// Tensors alive where the arena is fullest: "conv1.out 262,144, conv2.out 131,072 at conv2 of
// train_step".
std::string largest_in_arena(const PlanContents& contents, size_t count);
// Constants and parameters that the plan file holds, in bytes.
std::string largest_in_flash(const PlanContents& contents, size_t count);
// Steps of train_step, in multiply-adds.
std::string largest_in_time(const PlanContents& contents, size_t count);

}  // namespace attune
