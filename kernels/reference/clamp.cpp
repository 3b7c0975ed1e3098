#include "kernels/attrs.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/instantiate.h"
#include "kernels/reference/table.h"

namespace attune::reference {

// y = min(max(x, low), high); NaN stays NaN. The mask is true where low < y < high.
template <class T>
void clamp(const KernelArgs& args) {
  const auto& attrs = args.attributes<ClampAttrs>();
  const T low = static_cast<T>(attrs.min), high = static_cast<T>(attrs.max);
  const T* x = args.input(0).as<T>();
  T* y = args.output(0).as<T>();
  uint8_t* mask = args.output(1).as<uint8_t>();
  for_tiles(args, args.output(0).shape.elements(), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = clamp_value(x[i], low, high);
    if (mask) pack_mask(y, begin, end, low, high, mask);
  });
}
ATTUNE_INSTANTIATE(clamp)

// dx = mask ? dy : 0. A masked NaN is 0 too. The sums are those of reduce.
template <class T>
void mask_grad(const KernelArgs& args) {
  const T* dy = args.input(0).as<T>();
  const uint8_t* mask = args.input(1).as<uint8_t>();
  T* dx = args.output(0).as<T>();
  for_tiles(args, args.output(0).shape.elements(), [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) dx[i] = mask[i / 8] >> (i % 8) & 1 ? dy[i] : T(0);
  });
  T* sums = args.output(1).as<T>();
  if (!sums) return;
  const int64_t channels = args.output(0).shape.last();
  const int64_t elements = args.output(0).shape.elements();
  args.pool->parallel_for(channels, 64, [=](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; ++c) sums[c] = 0;
    for (int64_t row = 0; row < elements; row += channels)
      for (int64_t c = begin; c < end; ++c) sums[c] += dx[row + c];
  });
}
ATTUNE_INSTANTIATE(mask_grad)

}  // namespace attune::reference
