#pragma once

#include <cstdint>
#include <string>

#include "kernels/kernel.h"

namespace attune {

// What decides how long a step takes, as a target's points name it.
struct StepWork {
  Op op = Op::reshape;
  Backend backend = Backend::reference;
  // What makes one call of an operator unlike another whatever their sizes: "3x3/2 mask".
  std::string kind;
  // Operands, outputs and attributes: "f32:1x56x56x24 f32:144x1x1x24* > f32:1x56x56x144 |
  // pad_top=1".
  // '*': frozen; '-': absent.
  std::string shape;
  uint64_t macs = 0;
  uint64_t bytes = 0;  // moved_bytes()
  // What all steps of its program move, rounded: between two runs of a step so much passes through
  // the caches, so it tells where weights and optimizer state come from. 0: not known.
  uint64_t program_bytes = 0;
  uint64_t runs = 1;  // each time its program runs; the rest is of one of them
};

// For StepWork::program_bytes: to the nearest power of the square root of two, so that programs of
// about the same size are alike.
uint64_t rounded_program_bytes(uint64_t bytes);

// What a step reads and writes: its operands, each once; of a tensor of which it takes or updates
// some slices, these alone. `args` as for step_work.
uint64_t moved_bytes(Op op, const KernelArgs& args);

// `args` needs no memory: an operand that is there has any address that is not null.
StepWork step_work(Op op, Backend backend, const KernelArgs& args, uint64_t macs);

}  // namespace attune
