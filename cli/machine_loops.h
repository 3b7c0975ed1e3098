#pragma once

#include <cstddef>
#include <cstdint>

namespace attune::cli {

// Loops that do nothing but what a machine is fastest at, in the widest instructions that this
// processor has.
struct MachineLoops {
  const char* instructions;
  // Independent multiply-adds in registers; one repeat is so many operations.
  void (*multiply_add_f32)(int64_t repeats);
  void (*multiply_add_f64)(int64_t repeats);
  double operations_f32, operations_f64;
  // Adds up x[0 .. count); 64-byte aligned, count * 4 a multiple of kLoopBlock.
  void (*read)(const float* x, size_t count, int64_t repeats);
  // y[i] = x[i] * constant; likewise, and without overlap.
  void (*scale)(const float* x, float* y, size_t count, int64_t repeats);
};
inline constexpr size_t kLoopBlock = 512;  // bytes

// Chosen once, by what the processor says that it has.
const MachineLoops& machine_loops();

}  // namespace attune::cli
