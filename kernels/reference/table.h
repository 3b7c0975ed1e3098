#pragma once

#include "kernels/kernel.h"

namespace attune::reference {

// Every operator in ops.def, for T = float and double.
#define OP(id, name, ...) \
  template <class T>      \
  void name(const KernelArgs& args);
#include "kernels/ops.def"
#undef OP

// Instantiates a kernel for both.
#define ATTUNE_INSTANTIATE(name)                \
  template void name<float>(const KernelArgs&); \
  template void name<double>(const KernelArgs&);

}  // namespace attune::reference
