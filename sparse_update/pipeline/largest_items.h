#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "graph/plan/write_plan.h"

namespace attune {

// What is behind a number that is too large: a tensor or a step, and what it takes.
struct LargestItem {
  std::string name;
  uint64_t amount = 0;
};

// The step of a program during which the most bytes of its arena are alive; -1: before the first,
// the number of steps: after the last.
int fullest_step(const PlanProgram& program);

// The largest tensors alive where the arena is fullest, after the place itself.
struct ArenaPeak {
  std::string program, step;
  std::vector<LargestItem> tensors;
};
ArenaPeak largest_in_arena(const PlanContents& contents, size_t count);
// The largest constants and parameters that the plan file holds, in bytes.
std::vector<LargestItem> largest_in_flash(const PlanContents& contents, size_t count);
// The steps of train_step with the most multiply-adds.
std::vector<LargestItem> largest_in_time(const PlanContents& contents, size_t count);

// "conv1.out 262,144, conv2.out 131,072 at conv2 of train_step".
std::string items_text(const ArenaPeak& peak);
std::string items_text(const std::vector<LargestItem>& items);

}  // namespace attune
