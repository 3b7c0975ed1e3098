#include "kernels/reference/table.h"

namespace attune::reference {

template <class T>
size_t loss_workspace_bytes(const KernelArgs& args, int) {
  return static_cast<size_t>(args.input(0).shape[0]) * sizeof(T);
}

template size_t loss_workspace_bytes<float>(const KernelArgs&, int);
template size_t loss_workspace_bytes<double>(const KernelArgs&, int);

}  // namespace attune::reference
