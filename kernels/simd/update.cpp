#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/update.cpp"
#include <hwy/foreach_target.h>
//
#include <cmath>

#include "kernels/reference/indexed.h"
#include "kernels/simd/kernels.h"
#include "kernels/simd/vector-inl.h"

// The optimizers, as the reference kernels define them, with fused multiply-add. Every element goes
// through the same instructions, so a slice is updated as in the whole.
HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {
namespace {

constexpr int64_t kUpdateTile = 1 << 14;

// Calls f.template apply<kPartial>(wide, narrow, n) vector by vector of the slices that change.
template <class F>
void for_vectors(const F& f, int64_t wide, int64_t narrow, int64_t count) {
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) f.template apply<false>(wide + i, narrow + i, kLanes);
  if (i < count) f.template apply<true>(wide + i, narrow + i, static_cast<int>(count - i));
}

// Slices of few elements, such as a weight's input channels, are gathered before and put back
// after: a vector for each would wait for the one before, whose neighbour it is.
constexpr int64_t kFewElements = 8, kGathered = 256;

template <class F>
void update_gathered(const reference::IndexedAxis& slices, F f, int64_t begin, int64_t end) {
  float* const weights = f.w;
  float gathered[kGathered];
  int64_t places[kGathered];
  f.w = gathered;
  int64_t i = begin % slices.inner, k = begin / slices.inner % slices.count;
  int64_t row = begin / slices.inner / slices.count * slices.size;
  for (int64_t next; begin < end; begin = next) {
    next = std::min(begin + kGathered, end);
    const int64_t count = next - begin;
    for (int64_t at = 0; at < count; ++at) {
      places[at] = (row + slices.indices[k]) * slices.inner + i;
      gathered[at] = weights[places[at]];
      if (++i < slices.inner) continue;
      i = 0;
      if (++k < slices.count) continue;
      k = 0;
      row += slices.size;
    }
    for_vectors(f, 0, begin, count);
    for (int64_t at = 0; at < count; ++at) weights[places[at]] = gathered[at];
  }
}

template <class F>
void update(const KernelArgs& args, int axis, const F& f) {
  const reference::IndexedAxis slices(args.output(0).shape, axis, args.input(3));
  args.pool->parallel_for(
      args.input(1).shape.elements(), kUpdateTile, [&](int64_t begin, int64_t end) {
        if (slices.indices && slices.inner <= kFewElements)
          return update_gathered(slices, f, begin, end);
        slices.for_runs(begin, end, [&](int64_t wide, int64_t narrow, int64_t count) {
          for_vectors(f, wide, narrow, count);
        });
      });
}

// w -= lr * (dw + weight_decay * w)
struct Sgd {
  const float* dw;
  float* w;
  float lr, decay;
  template <bool kPartial>
  HWY_INLINE void apply(int64_t wide, int64_t narrow, int n) const {
    const V weight = load_some<kPartial>(w + wide, n);
    const V g = hn::MulAdd(repeat(decay), weight, load_some<kPartial>(dw + narrow, n));
    store_some<kPartial>(hn::NegMulAdd(repeat(lr), g, weight), w + wide, n);
  }
};

void sgd(const KernelArgs& args) {
  const auto& a = args.attributes<SgdAttrs>();
  update(args, a.axis,
         Sgd{args.input(1).as<float>(), args.output(0).as<float>(), *args.input(2).as<float>(),
             static_cast<float>(a.weight_decay)});
}

// g = dw + weight_decay * w;  v = momentum * v + g;  w -= lr * v, or with Nesterov's look-ahead
// w -= lr * (g + momentum * v).
struct Momentum {
  const float* dw;
  float *w, *velocity;
  float lr, decay, mu;
  bool nesterov;
  template <bool kPartial>
  HWY_INLINE void apply(int64_t wide, int64_t narrow, int n) const {
    const V weight = load_some<kPartial>(w + wide, n);
    const V g = hn::MulAdd(repeat(decay), weight, load_some<kPartial>(dw + narrow, n));
    const V v = hn::MulAdd(repeat(mu), load_some<kPartial>(velocity + narrow, n), g);
    store_some<kPartial>(v, velocity + narrow, n);
    const V step = nesterov ? hn::MulAdd(repeat(mu), v, g) : v;
    store_some<kPartial>(hn::NegMulAdd(repeat(lr), step, weight), w + wide, n);
  }
};

void momentum(const KernelArgs& args) {
  const auto& a = args.attributes<MomentumAttrs>();
  update(args, a.axis,
         Momentum{args.input(1).as<float>(), args.output(0).as<float>(), args.output(1).as<float>(),
                  *args.input(2).as<float>(), static_cast<float>(a.weight_decay),
                  static_cast<float>(a.momentum), a.nesterov});
}

// See reference/update.cpp.
struct Adam {
  const float* dw;
  float *w, *m, *v;
  float step_size, root_correction, keep, decay, beta1, rest1, beta2, rest2, epsilon;
  template <bool kPartial>
  HWY_INLINE void apply(int64_t wide, int64_t narrow, int n) const {
    const V weight = hn::Mul(load_some<kPartial>(w + wide, n), repeat(keep));
    const V g = hn::MulAdd(repeat(decay), weight, load_some<kPartial>(dw + narrow, n));
    const V mean =
        hn::MulAdd(repeat(beta1), load_some<kPartial>(m + narrow, n), hn::Mul(repeat(rest1), g));
    const V square = hn::MulAdd(repeat(beta2), load_some<kPartial>(v + narrow, n),
                                hn::Mul(repeat(rest2), hn::Mul(g, g)));
    store_some<kPartial>(mean, m + narrow, n);
    store_some<kPartial>(square, v + narrow, n);
    const V root = hn::Add(hn::Div(hn::Sqrt(square), repeat(root_correction)), repeat(epsilon));
    const V change = hn::Div(hn::Mul(repeat(step_size), mean), root);
    store_some<kPartial>(hn::Sub(weight, change), w + wide, n);
  }
};

void adam(const KernelArgs& args) {
  const auto& a = args.attributes<AdamAttrs>();
  const double lr = static_cast<double>(*args.input(2).as<float>());
  const int32_t step = *args.input(6).as<int32_t>();
  Adam f;
  f.dw = args.input(1).as<float>();
  f.w = args.output(0).as<float>();
  f.m = args.output(1).as<float>();
  f.v = args.output(2).as<float>();
  // Scalars in double: in float 1 - beta2^step would lose most of its digits.
  f.step_size = static_cast<float>(lr / (1 - std::pow(a.beta1, step)));
  f.root_correction = static_cast<float>(std::sqrt(1 - std::pow(a.beta2, step)));
  f.keep = static_cast<float>(a.decoupled ? 1 - lr * a.weight_decay : 1.0);
  f.decay = static_cast<float>(a.decoupled ? 0.0 : a.weight_decay);
  f.beta1 = static_cast<float>(a.beta1), f.rest1 = static_cast<float>(1 - a.beta1);
  f.beta2 = static_cast<float>(a.beta2), f.rest2 = static_cast<float>(1 - a.beta2);
  f.epsilon = static_cast<float>(a.epsilon);
  update(args, a.axis, f);
}

constexpr Kernel kSgd{sgd, nullptr, nullptr, nullptr, nullptr};
constexpr Kernel kMomentum{momentum, nullptr, nullptr, nullptr, nullptr};
constexpr Kernel kAdam{adam, nullptr, nullptr, nullptr, nullptr};

}  // namespace

const Kernel* find_update_here(Op op) {
  if (is<Op::sgd>(op)) return &kSgd;
  if (is<Op::momentum>(op)) return &kMomentum;
  if (is<Op::adam>(op)) return &kAdam;
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
ATTUNE_FIND_FOR_PROCESSOR(find_update)
#endif
