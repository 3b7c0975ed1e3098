#pragma once

#include <cmath>

#include "kernels/attrs.h"
#include "kernels/kernel.h"

// What the optimizers do with one element, of a gradient dw.
namespace attune::reference {

// w -= lr * (dw + weight_decay * w)
template <class T>
struct SgdStep {
  explicit SgdStep(const KernelArgs& args)
      : decay(static_cast<T>(args.attributes<SgdAttrs>().weight_decay)),
        lr(*args.input(2).as<T>()) {}
  void operator()(T dw, T& w) const { w -= lr * (dw + decay * w); }

  T decay, lr;
};

// g = dw + weight_decay * w;  v = momentum * v + g;  w -= lr * v, or with Nesterov's look-ahead
// w -= lr * (g + momentum * v). As torch.optim.SGD without dampening.
template <class T>
struct MomentumStep {
  explicit MomentumStep(const KernelArgs& args) : lr(*args.input(2).as<T>()) {
    const auto& attrs = args.attributes<MomentumAttrs>();
    decay = static_cast<T>(attrs.weight_decay), mu = static_cast<T>(attrs.momentum);
    nesterov = attrs.nesterov;
  }
  void operator()(T dw, T& w, T& v) const {
    const T g = dw + decay * w;
    v = mu * v + g;
    w -= lr * (nesterov ? g + mu * v : v);
  }

  T decay, mu, lr;
  bool nesterov;
};

// As torch.optim.Adam, or torch.optim.AdamW where `decoupled`:
//   g = dw (+ weight_decay * w, or decoupled w *= 1 - lr * weight_decay)
//   m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2
//   w -= lr / (1 - beta1^step) * m / (sqrt(v) / sqrt(1 - beta2^step) + epsilon)
template <class T>
struct AdamStep {
  // Scalars in double, as PyTorch: in float 1 - beta2^step would lose most of its digits.
  explicit AdamStep(const KernelArgs& args) {
    const auto& attrs = args.attributes<AdamAttrs>();
    const double lr = static_cast<double>(*args.input(2).as<T>());
    const int32_t step = *args.input(6).as<int32_t>();
    step_size = static_cast<T>(lr / (1 - std::pow(attrs.beta1, step)));
    root_correction = static_cast<T>(std::sqrt(1 - std::pow(attrs.beta2, step)));
    keep = static_cast<T>(attrs.decoupled ? 1 - lr * attrs.weight_decay : 1.0);
    decay = static_cast<T>(attrs.decoupled ? 0.0 : attrs.weight_decay);
    beta1 = static_cast<T>(attrs.beta1), rest1 = static_cast<T>(1 - attrs.beta1);
    beta2 = static_cast<T>(attrs.beta2), rest2 = static_cast<T>(1 - attrs.beta2);
    epsilon = static_cast<T>(attrs.epsilon);
  }
  void operator()(T dw, T& w, T& mean, T& square) const {
    w *= keep;
    const T g = dw + decay * w;
    mean = beta1 * mean + rest1 * g;
    square = beta2 * square + rest2 * (g * g);
    w -= step_size * mean / (std::sqrt(square) / root_correction + epsilon);
  }

  T step_size, root_correction, keep, decay, beta1, rest1, beta2, rest2, epsilon;
};

}  // namespace attune::reference
