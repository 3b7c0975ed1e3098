#include "kernels/attrs.h"
#include "kernels/reference/indexed.h"
#include "kernels/reference/instantiate.h"
#include "kernels/reference/table.h"

namespace attune::reference {

// g = dw + weight_decay * w;  v = momentum * v + g;  w -= lr * v, or with Nesterov's look-ahead
// w -= lr * (g + momentum * v). As torch.optim.SGD without dampening.
template <class T>
void momentum(const KernelArgs& args) {
  const auto& attrs = args.attributes<MomentumAttrs>();
  const IndexedAxis slices(args.output(0).shape, attrs.axis, args.input(3));
  const T decay = static_cast<T>(attrs.weight_decay);
  const T mu = static_cast<T>(attrs.momentum);
  const bool nesterov = attrs.nesterov;
  const T lr = *args.input(2).as<T>();
  const T* dw = args.input(1).as<T>();
  T* w = args.output(0).as<T>();
  T* velocity = args.output(1).as<T>();
  for_tiles(args, args.input(1).shape.elements(), [&](int64_t begin, int64_t end) {
    slices.for_runs(begin, end, [=](int64_t wide, int64_t narrow, int64_t count) {
      for (int64_t i = 0; i < count; ++i) {
        T& weight = w[wide + i];
        T& v = velocity[narrow + i];
        const T g = dw[narrow + i] + decay * weight;
        v = mu * v + g;
        weight -= lr * (nesterov ? g + mu * v : v);
      }
    });
  });
}
ATTUNE_INSTANTIATE(momentum)

}  // namespace attune::reference
