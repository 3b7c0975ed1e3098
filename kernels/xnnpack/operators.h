#pragma once

#include <xnnpack.h>

#include <cstddef>
#include <new>

#include "kernels/heap_block.h"
#include "kernels/kernel.h"

// XNNPACK packs weights when an operator is created, so the kernels here take frozen weights only.
// They create and set up the operator in `prepare`; running it allocates nothing.
namespace attune::xnnpack {

extern const Kernel kConv2d, kConv2dGradInput;
extern const Kernel kDepthwiseConv2d, kDepthwiseConv2dGradInput;
extern const Kernel kLinear;

// What `prepare` returns.
struct Prepared {
  xnn_operator_t op = nullptr;
  // Whether bias and clamp are left to a pass after the operator, since the bias is trained.
  bool bias_after = false;
};

void release(void* prepared);

// Runs the operator and nothing after it.
void run(const KernelArgs& args);

// Bias and clamp as XNNPACK takes them.
struct FusedOutput {
  const float* bias = nullptr;
  float min, max;
};
// All of it where the bias is frozen or absent; nothing where it is trained.
FusedOutput fused_output(const KernelArgs& args, double clamp_min, double clamp_max);
bool bias_is_trained(const KernelArgs& args);
// What XNNPACK demands of a clamp in single precision.
bool clamp_is_valid(double clamp_min, double clamp_max);

// Runs the operator, then applies a trained bias and the clamp, and writes the mask, output 1.
void run_with_output(const KernelArgs& args, double clamp_min, double clamp_max);
template <class A>
void run_forward(const KernelArgs& args) {
  const auto& a = args.attributes<A>();
  run_with_output(args, a.clamp_min, a.clamp_max);
}

namespace internal {

// Initializes XNNPACK, once for the process.
bool initialize();
// Bytes that this thread has had XNNPACK allocate so far; 0 where another part of the process
// initialized XNNPACK first, with another allocator.
size_t allocated_bytes();

}  // namespace internal

// Calls create(&op), then setup(op), both of which return an xnn_status. Null where one fails.
// `held_bytes` receives the bytes of the result, XNNPACK's own among them: what it allocated
// meanwhile, or `estimate` where it keeps that to itself.
template <class Create, class Setup>
Prepared* prepare_operator(size_t estimate, size_t* held_bytes, Create&& create, Setup&& setup) {
  if (!internal::initialize()) return nullptr;
  auto* prepared = new (std::nothrow) Prepared;
  if (!prepared) return nullptr;
  const size_t before = internal::allocated_bytes();
  if (create(&prepared->op) != xnn_status_success || setup(prepared->op) != xnn_status_success) {
    release(prepared);
    return nullptr;
  }
  const size_t allocated = internal::allocated_bytes() - before;
  if (held_bytes)
    *held_bytes = sizeof(Prepared) + kHeapBlockBytes + (allocated ? allocated : estimate);
  return prepared;
}

}  // namespace attune::xnnpack
