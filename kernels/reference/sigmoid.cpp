#include <cmath>

#include "kernels/reference/elements.h"
#include "kernels/reference/instantiate.h"
#include "kernels/reference/table.h"

namespace attune::reference {

// Far from 0 exp overflows to infinity or vanishes, which gives the right limits.
template <class T>
void sigmoid(const KernelArgs& args) {
  map<T>(args, [](T x) { return T(1) / (T(1) + std::exp(-x)); });
}
ATTUNE_INSTANTIATE(sigmoid)

// dx = dy * y * (1 - y)
template <class T>
void sigmoid_grad(const KernelArgs& args) {
  map2<T>(args, [](T dy, T y) { return dy * (y * (T(1) - y)); });
}
ATTUNE_INSTANTIATE(sigmoid_grad)

}  // namespace attune::reference
