#include "kernels/attrs.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/instantiate.h"
#include "kernels/reference/table.h"

namespace attune::reference {

// y = min(max(alpha * x + beta, 0), 1). The gradient is mask_grad, then scale by alpha.
template <class T>
void hard_sigmoid(const KernelArgs& args) {
  const auto& attrs = args.attributes<HardSigmoidAttrs>();
  const T alpha = static_cast<T>(attrs.alpha), beta = static_cast<T>(attrs.beta);
  const T* x = args.input(0).as<T>();
  T* y = args.output(0).as<T>();
  uint8_t* mask = args.output(1).as<uint8_t>();
  for_tiles(args, args.output(0).shape.elements(), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = clamp_value(alpha * x[i] + beta, T(0), T(1));
    if (mask) pack_mask(y, begin, end, T(0), T(1), mask);
  });
}
ATTUNE_INSTANTIATE(hard_sigmoid)

}  // namespace attune::reference
