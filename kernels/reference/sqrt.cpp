#include <cmath>

#include "kernels/reference/elements.h"
#include "kernels/reference/instantiate.h"
#include "kernels/reference/table.h"

namespace attune::reference {

template <class T>
void sqrt(const KernelArgs& args) {
  map<T>(args, [](T x) { return std::sqrt(x); });
}
ATTUNE_INSTANTIATE(sqrt)

}  // namespace attune::reference
