#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/op.h"
#include "kernels/tensor.h"

// What a kernel is: a function over memory that the caller owns. Kernels do no I/O, do not allocate
// while they run and know nothing of plans.
namespace attune {

class ThreadPool;

struct KernelArgs {
  const Tensor* inputs = nullptr;
  int num_inputs = 0;
  const Tensor* outputs = nullptr;
  int num_outputs = 0;
  const void* attrs = nullptr;  // the operator's attribute struct
  void* workspace = nullptr;    // 64-byte aligned, as many bytes as `workspace_bytes` asked for
  ThreadPool* pool = nullptr;   // never null while running
  void* prepared = nullptr;     // what `prepare` returned

  // Inputs and outputs past the given ones are absent.
  Tensor input(int i) const { return i < num_inputs ? inputs[i] : Tensor{}; }
  Tensor output(int i) const { return i < num_outputs ? outputs[i] : Tensor{}; }
  template <class A>
  const A& attributes() const {
    return *static_cast<const A*>(attrs);
  }
};

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

enum class Backend : uint8_t { reference = 0, eigen = 1, xnnpack = 2, simd = 3 };
inline constexpr int kBackendCount = 4;
constexpr const char* backend_name(Backend backend) {
  constexpr const char* kNames[] = {"reference", "eigen", "xnnpack", "simd"};
  return kNames[static_cast<int>(backend)];
}
bool backend_available(Backend backend);

// The kernel of one backend, or null where it has none for the operator in this dtype. Every
// operator has a reference kernel in f32 and f64, unless it is left out of the library
// (kernels/selection.h), which then has none of any backend. `dtype` is the type the node computes
// in.
const Kernel* find_kernel(Backend backend, Op op, DType dtype);

}  // namespace attune
