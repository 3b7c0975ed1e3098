#include "kernels/attrs.h"
#include "kernels/reference/indexed.h"
#include "kernels/reference/instantiate.h"
#include "kernels/reference/table.h"

namespace attune::reference {

// w -= lr * (dw + weight_decay * w)
template <class T>
void sgd(const KernelArgs& args) {
  const auto& attrs = args.attributes<SgdAttrs>();
  const IndexedAxis slices(args.output(0).shape, attrs.axis, args.input(3));
  const T decay = static_cast<T>(attrs.weight_decay);
  const T lr = *args.input(2).as<T>();
  const T* dw = args.input(1).as<T>();
  T* w = args.output(0).as<T>();
  for_tiles(args, args.input(1).shape.elements(), [&](int64_t begin, int64_t end) {
    slices.for_runs(begin, end, [=](int64_t wide, int64_t narrow, int64_t count) {
      for (int64_t i = 0; i < count; ++i) {
        T& weight = w[wide + i];
        weight -= lr * (dw[narrow + i] + decay * weight);
      }
    });
  });
}
ATTUNE_INSTANTIATE(sgd)

}  // namespace attune::reference
