#pragma once

// Instantiates a reference kernel for every type that the table has.
#define ATTUNE_INSTANTIATE(name)                \
  template void name<float>(const KernelArgs&); \
  template void name<double>(const KernelArgs&);
