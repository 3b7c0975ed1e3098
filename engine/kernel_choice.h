#pragma once

#include <cstddef>
#include <cstdint>

#include "attune/backend.h"
#include "kernels/kernel.h"

namespace attune {

struct ChosenKernel {
  const Kernel* kernel = nullptr;
  Backend backend = Backend::reference;
};

// The kernel for a step that computes in `real`; its operands have their addresses or stand-ins for
// them. The first `skip` backends of the order are left out, as far as others remain; kernels that
// prepare something, which takes memory of the heap, where `prepared` is false.
ChosenKernel choose_kernel(BackendChoice choice, DType real, Op op, const KernelArgs& args,
                           int skip = 0, bool prepared = true);
// The kernel of a backend where it takes such a step; null where it does not.
ChosenKernel kernel_of(Backend backend, DType real, Op op, const KernelArgs& args);
// The place of a backend in that order.
int place_in_order(BackendChoice choice, Op op, const KernelArgs& args, Backend backend);

// Whether a step is worth waking other threads for: below this, waiting for them costs more than
// they save. Where another program keeps one of two cores busy, it already does at five times as
// much: there one thread is the better choice for small networks.
bool worth_threads(uint64_t macs, const KernelArgs& args);

}  // namespace attune
