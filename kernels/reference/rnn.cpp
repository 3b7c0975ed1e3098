#include "kernels/attrs.h"
#include "kernels/reference/recurrent.h"
#include "kernels/reference/table.h"

namespace attune::reference {

// h' = tanh(xw + b + r h), or its positive part.
template <class T>
void rnn(const KernelArgs& args) {
  const auto& attrs = args.attributes<RnnAttrs>();
  Recurrence<T> over(args, args.input(4), attrs.reverse);
  const int64_t width = over.width;
  over.for_blocks(args.input(1).as<T>(), [&](const auto& block) {
    T* h = block.states[0];
    over.load(args.input(3), block, h);
    const Biases<T> bias(args.input(2), block.direction, width);
    over.each_step(block, false, [&](int64_t t) {
      const auto at = [&](int64_t e) {
        return over.at(block.first + e, t, block.direction, width);
      };
      for (int64_t e = 0; e < block.count; ++e) {
        const T* x = args.input(0).as<T>() + at(e);
        for (int64_t j = 0; j < width; ++j) block.products[e * width + j] = x[j] + bias.both(j);
      }
      add_product<T>(block.count, width, width, {h, width}, {block.weights, width},
                     {block.products, width});
      for (int64_t e = 0; e < block.count; ++e) {
        T* y = args.output(0).as<T>() + at(e);
        if (!over.runs(block.first + e, t)) {
          zero(y, width);
          continue;
        }
        for (int64_t j = 0; j < width; ++j) {
          const T p = block.products[e * width + j];
          y[j] = h[e * width + j] = attrs.relu ? (p < T(0) ? T(0) : p) : tanh_value(p);
        }
      }
    });
    over.store(h, block, args.output(1));
  });
}
ATTUNE_INSTANTIATE(rnn)

// dxw = dh * (1 - y^2), or dh where y > 0; then dh = r^T dxw.
template <class T>
void rnn_grad(const KernelArgs& args) {
  const auto& attrs = args.attributes<RnnAttrs>();
  const Tensor dy = args.input(3);
  Recurrence<T> over(args, args.input(2), attrs.reverse);
  const int64_t width = over.width;
  over.for_blocks(nullptr, [&](const auto& block) {
    T* dh = block.states[0];
    over.load(args.input(4), block, dh);
    over.each_step(block, true, [&](int64_t t) {
      for (int64_t e = 0; e < block.count; ++e) {
        const int64_t n = block.first + e, at = over.at(n, t, block.direction, width);
        T* dp = block.products + e * width;
        T* dxw = args.output(0).as<T>() + at;
        if (!over.runs(n, t)) {
          zero(dp, width), zero(dxw, width);
          continue;
        }
        const T* y = args.input(0).as<T>() + at;
        const T* above = place<T>(dy, at);
        for (int64_t j = 0; j < width; ++j) {
          const T whole = dh[e * width + j] + (above ? above[j] : T(0));
          dp[j] = attrs.relu ? (y[j] > T(0) ? whole : T(0)) : whole * (T(1) - y[j] * y[j]);
          dh[e * width + j] = T(0);
        }
        std::copy_n(dp, width, dxw);
      }
      const T* r = args.input(1).as<T>() + block.direction * width * width;
      add_product<T>(block.count, width, width, {block.products, width}, {r, width}, {dh, width});
    });
    over.store(dh, block, args.output(1));
  });
}
ATTUNE_INSTANTIATE(rnn_grad)

// previous[t] = y[t - 1], or y[t + 1] where it runs backwards; h before the first step.
template <class T>
void previous_state(const KernelArgs& args) {
  const Shape& shape = args.output(0).shape;
  const int64_t steps = shape[1], directions = shape[2], width = shape[3];
  const bool reverse = args.attributes<DirectionAttrs>().reverse;
  const int32_t* lengths = args.input(2).as<int32_t>();
  args.pool->parallel_for(shape[0], 1, [&](int64_t n, int64_t) {
    const int64_t length = lengths ? std::clamp<int64_t>(lengths[n], 0, steps) : steps;
    for (int64_t t = 0; t < steps; ++t)
      for (int64_t d = 0; d < directions; ++d) {
        const auto at = [&](int64_t step) { return ((n * steps + step) * directions + d) * width; };
        T* to = args.output(0).as<T>() + at(t);
        const int64_t before = reverse || d == 1 ? t + 1 : t - 1;
        const T* h = place<T>(args.input(1), (n * directions + d) * width);
        if (t < length && before >= 0 && before < length)
          std::copy_n(args.input(0).as<T>() + at(before), width, to);
        else if (t < length && h)
          std::copy_n(h, width, to);
        else
          zero(to, width);
      }
  });
}
ATTUNE_INSTANTIATE(previous_state)

}  // namespace attune::reference
