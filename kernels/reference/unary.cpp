#include <cmath>

#include "kernels/attrs.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/table.h"

namespace attune::reference {

template <class T>
void sqrt(const KernelArgs& args) {
  map<T>(args, [](T x) { return std::sqrt(x); });
}
ATTUNE_INSTANTIATE(sqrt)

template <class T>
void scale(const KernelArgs& args) {
  const auto& attrs = args.attributes<ScaleAttrs>();
  const T factor = static_cast<T>(attrs.factor), offset = static_cast<T>(attrs.offset);
  map<T>(args, [=](T x) { return factor * x + offset; });
}
ATTUNE_INSTANTIATE(scale)

template <class T>
void sigmoid(const KernelArgs& args) {
  map<T>(args, sigmoid_value<T>);
}
ATTUNE_INSTANTIATE(sigmoid)

// dx = dy * y * (1 - y)
template <class T>
void sigmoid_grad(const KernelArgs& args) {
  map2<T>(args, [](T dy, T y) { return dy * (y * (T(1) - y)); });
}
ATTUNE_INSTANTIATE(sigmoid_grad)

template <class T>
void tanh(const KernelArgs& args) {
  map<T>(args, tanh_value<T>);
}
ATTUNE_INSTANTIATE(tanh)

// dx = dy * (1 - y^2)
template <class T>
void tanh_grad(const KernelArgs& args) {
  map2<T>(args, [](T dy, T y) { return dy * (T(1) - y * y); });
}
ATTUNE_INSTANTIATE(tanh_grad)

// y = min(max(alpha * x + beta, 0), 1). The gradient is mask_grad, then scale by alpha.
template <class T>
void hard_sigmoid(const KernelArgs& args) {
  const auto& attrs = args.attributes<HardSigmoidAttrs>();
  const T alpha = static_cast<T>(attrs.alpha), beta = static_cast<T>(attrs.beta);
  map_clamped<T>(args, args.input(0).as<T>(), T(0), T(1), [=](T x) { return alpha * x + beta; });
}
ATTUNE_INSTANTIATE(hard_sigmoid)

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
