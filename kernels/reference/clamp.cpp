#include <algorithm>

#include "kernels/attrs.h"
#include "kernels/mask_grad.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/table.h"

namespace attune::reference {

// y = min(max(x, low), high); NaN stays NaN. The mask is true where low < y < high.
template <class T>
void clamp(const KernelArgs& args) {
  const auto& attrs = args.attributes<ClampAttrs>();
  map_clamped<T>(args, args.input(0).as<T>(), static_cast<T>(attrs.min), static_cast<T>(attrs.max),
                 [](T x) { return x; });
}
ATTUNE_INSTANTIATE(clamp)

template <class T>
void clamp_mask(const KernelArgs& args) {
  const auto& attrs = args.attributes<ClampAttrs>();
  const T low = static_cast<T>(attrs.min), high = static_cast<T>(attrs.max);
  const T* y = args.input(0).as<T>();
  uint8_t* mask = args.output(0).as<uint8_t>();
  for_tiles(args, args.input(0).shape.elements(),
            [=](int64_t begin, int64_t end) { pack_mask(y, begin, end, low, high, mask); });
}
ATTUNE_INSTANTIATE(clamp_mask)

// dx = mask ? dy : 0. A masked NaN is 0 too. The sums are those of reduce.
template <class T>
void mask_grad(const KernelArgs& args) {
  const Tensor dx = args.output(0);
  const int64_t channels = dx.shape.rank > 0 ? dx.shape.last() : 1;
  attune::mask_grad(args.input(0).as<T>(), args.input(1).as<uint8_t>(), dx.as<T>(),
                    dx.shape.elements() / std::max<int64_t>(channels, 1), channels,
                    args.output(1).as<T>(), *args.pool);
}
ATTUNE_INSTANTIATE(mask_grad)

}  // namespace attune::reference
