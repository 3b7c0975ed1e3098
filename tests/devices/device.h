#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

// What train.cpp needs of the device that it runs on: a file for each, posix.cpp, wasm.cpp and
// cortex_m.cpp.
namespace attune::device {

void print(const char* text);

// Memory for everything that training takes.
std::span<std::byte> memory();

// How much stack a call of f takes beside its caller's, and how many instructions; 0 where the
// device cannot tell.
struct Cost {
  size_t stack_bytes = 0;
  uint64_t instructions = 0;
};
void begin_cost();
Cost end_cost();

// Of train.cpp: trains a plan for so many steps and prints what came of it. False: it was refused.
bool train(std::span<const std::byte> plan, int steps);

}  // namespace attune::device
