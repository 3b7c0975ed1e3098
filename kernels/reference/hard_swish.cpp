#include "kernels/reference/elements.h"
#include "kernels/reference/instantiate.h"
#include "kernels/reference/table.h"

namespace attune::reference {

template <class T>
void hard_swish(const KernelArgs& args) {
  map<T>(args, [](T x) { return x * clamp_value(x + T(3), T(0), T(6)) / T(6); });
}
ATTUNE_INSTANTIATE(hard_swish)

// dx = dy * (0 up to x = -3, 1 from x = 3 on, x / 3 + 1/2 between them).
template <class T>
void hard_swish_grad(const KernelArgs& args) {
  map2<T>(args, [](T dy, T x) {
    if (x <= T(-3)) return T(0);
    if (x >= T(3)) return dy;
    return dy * (x / T(3) + T(0.5));
  });
}
ATTUNE_INSTANTIATE(hard_swish_grad)

}  // namespace attune::reference
