#include <cmath>

#include "kernels/reference/elements.h"
#include "kernels/reference/instantiate.h"
#include "kernels/reference/table.h"

namespace attune::reference {

// Rounded from double: C libraries differ in tanhf's last bit.
template <class T>
void tanh(const KernelArgs& args) {
  map<T>(args, [](T x) { return static_cast<T>(std::tanh(static_cast<double>(x))); });
}
ATTUNE_INSTANTIATE(tanh)

// dx = dy * (1 - y^2)
template <class T>
void tanh_grad(const KernelArgs& args) {
  map2<T>(args, [](T dy, T y) { return dy * (T(1) - y * y); });
}
ATTUNE_INSTANTIATE(tanh_grad)

}  // namespace attune::reference
