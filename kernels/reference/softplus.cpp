#include <algorithm>
#include <cmath>

#include "kernels/reference/elements.h"
#include "kernels/reference/instantiate.h"
#include "kernels/reference/table.h"

namespace attune::reference {

// exp of what is not positive never overflows.
template <class T>
void softplus(const KernelArgs& args) {
  map<T>(args, [](T x) { return std::max(x, T(0)) + std::log1p(std::exp(-std::abs(x))); });
}
ATTUNE_INSTANTIATE(softplus)

}  // namespace attune::reference
