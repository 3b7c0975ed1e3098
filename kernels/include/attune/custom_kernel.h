#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "attune/export.h"
#include "attune/kernel_args.h"
#include "attune/thread_pool.h"

// Operators of the user's own: what a device has to know of one. A program registers them when it
// starts, before it compiles a model or loads a plan, and from one thread. What the compiler has to
// know beside it is in graph/rules/custom.h. A plan holds an operator's name and parameters; one
// whose operators are not registered is refused.
namespace attune {

struct CustomOperator {
  // Of an ONNX node: its domain, a point and its type, "com.example.Snake". At most kMaxCustomName
  // bytes, and no other operator's.
  const char* name = nullptr;
  // The shape of the output for these inputs: their shapes, and up to kMaxCustomParameters
  // parameters, which are the node's attributes. Null, or what is wrong. What the kernel relies on
  // is refused here: this guards it when a device loads a plan that it does not trust. All inputs
  // are there and of one real type; nothing may read their data, which is not there yet.
  const char* (*infer)(std::span<const Tensor> inputs, std::span<const double> parameters,
                       Shape* output) = nullptr;
  // Computes output 0, all of it, from the inputs. Tensors are dense, of `float` or of `double`. It
  // does not allocate, and the same inputs give the same bits whatever the number of threads in
  // args.pool. Without a kernel in `double` plans compute in f32 alone: no `attune verify`.
  void (*run_f32)(const KernelArgs& args) = nullptr;
  void (*run_f64)(const KernelArgs& args) = nullptr;
  // Bytes of args.workspace that a run needs; null: none.
  size_t (*workspace_bytes)(const KernelArgs& args, int threads) = nullptr;
  // Bit i: input i has the examples of a batch on its first axis, and each example is computed
  // alone; other inputs are the same for all. 0: examples are mixed, which a model may not do.
  uint32_t by_example = 0;
  // The output adds examples up, as the gradient of a parameter does; else its first axis has them.
  bool sums_examples = false;
};

// Makes an operator known. It must outlive the program's use of it: a constant, best. Null, or what
// is wrong: it lacks a name, a shape or a kernel in f32, another one has its name, or there are
// too many (64). Registering the same one again is fine.
ATTUNE_API const char* add_custom_operator(const CustomOperator& op);

// The parameters of the step that a kernel was called for: its node's attributes, in order.
ATTUNE_API std::span<const double> custom_parameters(const KernelArgs& args);

}  // namespace attune
