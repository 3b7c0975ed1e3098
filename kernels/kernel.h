#pragma once

#include <cstddef>

#include "attune/backend.h"
#include "attune/kernel_args.h"
#include "kernels/op.h"

// What a kernel is: a function over memory that the caller owns. Kernels do no I/O, do not allocate
// while they run and know nothing of plans.
namespace attune {

// All functions but `run` are called at load time only. Null means: supports everything, needs no
// workspace, nothing to prepare.
struct Kernel {
  void (*run)(const KernelArgs& args) = nullptr;
  // Whether this kernel takes these shapes and attributes. Input data may be absent except where
  // frozen.
  bool (*supports)(const KernelArgs& args) = nullptr;
  size_t (*workspace_bytes)(const KernelArgs& args, int threads) = nullptr;
  // May allocate (packed weights, operator objects). Sees final addresses in `args`, of which none
  // moves. Returns null on failure. `held_bytes` receives what it holds, as far as it is known.
  void* (*prepare)(const KernelArgs& args, size_t* held_bytes) = nullptr;
  void (*release)(void* prepared) = nullptr;
};

// The kernel of one backend, or null where it has none for the operator in this dtype. Every
// operator has a reference kernel in f32 and f64, unless it is left out of the library
// (kernels/selection.h), which then has none of any backend. `dtype` is the type the node computes
// in.
const Kernel* find_kernel(Backend backend, Op op, DType dtype);

}  // namespace attune
