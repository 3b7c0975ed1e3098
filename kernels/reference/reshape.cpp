#include <cstring>

#include "kernels/reference/table.h"

namespace attune::reference {

// Nothing to do where y lies on x, which is what the planner aims at.
template <class T>
void reshape(const KernelArgs& args) {
  const Tensor x = args.input(0), y = args.output(0);
  if (x.data != y.data) std::memmove(y.data, x.data, y.bytes());
}
ATTUNE_INSTANTIATE(reshape)

}  // namespace attune::reference
