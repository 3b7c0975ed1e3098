#pragma once

#include "attune/tensor.h"

namespace attune {

class ThreadPool;

// What a kernel is called with. All memory is the caller's.
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

}  // namespace attune
