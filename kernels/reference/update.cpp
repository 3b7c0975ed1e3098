#include <cmath>

#include "kernels/attrs.h"
#include "kernels/reference/indexed.h"
#include "kernels/reference/table.h"

// The optimizers.
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
  for_slices(args, slices, args.input(1).shape.elements(),
             [=](int64_t wide, int64_t narrow, int64_t count) {
               for (int64_t i = 0; i < count; ++i) {
                 T& weight = w[wide + i];
                 weight -= lr * (dw[narrow + i] + decay * weight);
               }
             });
}
ATTUNE_INSTANTIATE(sgd)

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
  for_slices(args, slices, args.input(1).shape.elements(),
             [=](int64_t wide, int64_t narrow, int64_t count) {
               for (int64_t i = 0; i < count; ++i) {
                 T& weight = w[wide + i];
                 T& v = velocity[narrow + i];
                 const T g = dw[narrow + i] + decay * weight;
                 v = mu * v + g;
                 weight -= lr * (nesterov ? g + mu * v : v);
               }
             });
}
ATTUNE_INSTANTIATE(momentum)

// As torch.optim.Adam, or torch.optim.AdamW where `decoupled`:
//   g = dw (+ weight_decay * w, or decoupled w *= 1 - lr * weight_decay)
//   m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2
//   w -= lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + epsilon)
template <class T>
void adam(const KernelArgs& args) {
  const auto& attrs = args.attributes<AdamAttrs>();
  const IndexedAxis slices(args.output(0).shape, attrs.axis, args.input(3));
  const double lr = static_cast<double>(*args.input(2).as<T>());
  const int32_t step = *args.input(6).as<int32_t>();
  // Scalars in double, as PyTorch: in float 1 - beta2^step would lose most of its digits.
  const T step_size = static_cast<T>(lr / (1 - std::pow(attrs.beta1, step)));
  const T root_correction = static_cast<T>(std::sqrt(1 - std::pow(attrs.beta2, step)));
  const T keep = static_cast<T>(attrs.decoupled ? 1 - lr * attrs.weight_decay : 1.0);
  const T decay = static_cast<T>(attrs.decoupled ? 0.0 : attrs.weight_decay);
  const T beta1 = static_cast<T>(attrs.beta1), rest1 = static_cast<T>(1 - attrs.beta1);
  const T beta2 = static_cast<T>(attrs.beta2), rest2 = static_cast<T>(1 - attrs.beta2);
  const T epsilon = static_cast<T>(attrs.epsilon);
  const T* dw = args.input(1).as<T>();
  T* w = args.output(0).as<T>();
  T* m = args.output(1).as<T>();
  T* v = args.output(2).as<T>();
  for_slices(args, slices, args.input(1).shape.elements(),
             [=](int64_t wide, int64_t narrow, int64_t count) {
               for (int64_t i = 0; i < count; ++i) {
                 T& weight = w[wide + i];
                 T& mean = m[narrow + i];
                 T& square = v[narrow + i];
                 weight *= keep;
                 const T g = dw[narrow + i] + decay * weight;
                 mean = beta1 * mean + rest1 * g;
                 square = beta2 * square + rest2 * (g * g);
                 weight -= step_size * mean / (std::sqrt(square) / root_correction + epsilon);
               }
             });
}
ATTUNE_INSTANTIATE(adam)

}  // namespace attune::reference
