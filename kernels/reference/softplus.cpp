#include <algorithm>
#include <cmath>

#include "kernels/reference/elements.h"
#include "kernels/reference/table.h"

namespace attune::reference {

// exp of what is not positive never overflows. The logarithm is rounded from double: C libraries
// differ in log1pf's last bit.
template <class T>
void softplus(const KernelArgs& args) {
  map<T>(args, [](T x) {
    const double above_one = std::exp(-std::abs(x));
    return std::max(x, T(0)) + static_cast<T>(std::log1p(above_one));
  });
}
ATTUNE_INSTANTIATE(softplus)

}  // namespace attune::reference
