#include "kernels/attrs.h"
#include "kernels/reference/recurrent.h"
#include "kernels/reference/table.h"

namespace attune::reference {

// Gates z, r, n of xw + b + their products with the state: h' = (1 - z) * n + z * h, where n has
// r * (rn h + bn), or rn (r * h) + bn.
template <class T>
void gru(const KernelArgs& args) {
  const auto& attrs = args.attributes<GruAttrs>();
  Recurrence<T> over(args, args.input(4), attrs.reverse);
  const int64_t width = over.width, rows = over.rows, both = 2 * width;
  over.for_blocks(args.input(1).as<T>(), [&](const auto& block) {
    T* h = block.states[0];
    T* scaled = block.states[1];  // r * h
    over.load(args.input(3), block, h);
    over.load({}, block, scaled);
    const Biases<T> bias(args.input(2), block.direction, rows);
    over.each_step(block, false, [&](int64_t t) {
      const auto x = [&](int64_t e) {
        return args.input(0).as<T>() + over.at(block.first + e, t, block.direction, rows);
      };
      for (int64_t e = 0; e < block.count; ++e) {
        T* p = block.products + e * rows;
        const int64_t summed = attrs.reset_after ? both : rows;
        for (int64_t j = 0; j < summed; ++j) p[j] = x(e)[j] + bias.both(j);
        for (int64_t j = summed; j < rows; ++j) p[j] = bias.of_state(j);
      }
      add_product<T>(block.count, width, attrs.reset_after ? rows : both, {h, width},
                     {block.weights, rows}, {block.products, rows});
      for (int64_t e = 0; e < block.count; ++e) {
        T* p = block.products + e * rows;
        for (int64_t j = 0; j < both; ++j) p[j] = sigmoid_value(p[j]);
        for (int64_t j = 0; j < width; ++j) scaled[e * width + j] = p[width + j] * h[e * width + j];
      }
      if (!attrs.reset_after)
        add_product<T>(block.count, width, width, {scaled, width}, {block.weights + both, rows},
                       {block.products + both, rows});
      for (int64_t e = 0; e < block.count; ++e) {
        const int64_t n = block.first + e, at = over.at(n, t, block.direction, width);
        T* y = args.output(0).as<T>() + at;
        T* gates = place<T>(args.output(2), over.at(n, t, block.direction, rows));
        T* hidden = place<T>(args.output(3), at);
        if (!over.runs(n, t)) {
          zero(y, width), zero(gates, rows), zero(hidden, width);
          continue;
        }
        T* p = block.products + e * rows;
        if (hidden) std::copy_n(attrs.reset_after ? p + both : scaled + e * width, width, hidden);
        for (int64_t j = 0; j < width; ++j) {
          T& candidate = p[both + j];
          if (attrs.reset_after)
            candidate = x(e)[both + j] + bias.of_input(both + j) + p[width + j] * candidate;
          candidate = tanh_value(candidate);
          T& state = h[e * width + j];
          y[j] = state = (T(1) - p[j]) * candidate + p[j] * state;
        }
        if (gates) std::copy_n(p, rows, gates);
      }
    });
    over.store(h, block, args.output(1));
  });
}
ATTUNE_INSTANTIATE(gru)

// dz = dh * (h - n), dn = dh * (1 - z), through tanh; dh = dh * z and what comes back from the
// products: with reset_after r^T (dz, dr, dn * r) where dr = dn * hidden, else
// r^T (dz, dr) + r * s where s = rn^T dn and dr = s * h.
template <class T>
void gru_grad(const KernelArgs& args) {
  const auto& attrs = args.attributes<GruAttrs>();
  const Tensor dy = args.input(5);
  Recurrence<T> over(args, args.input(4), attrs.reverse);
  const int64_t width = over.width, rows = over.rows, both = 2 * width;
  over.for_blocks(nullptr, [&](const auto& block) {
    T* dh = block.states[0];
    T* dscaled = block.states[1];
    T* candidate = block.states[2];  // dn, as dxw has it
    const int64_t d = block.direction;
    const T* r = args.input(1).as<T>() + d * rows * width;
    over.load(args.input(6), block, dh);
    over.each_step(block, true, [&](int64_t t) {
      for (int64_t e = 0; e < block.count; ++e) {
        const int64_t n = block.first + e, at = over.at(n, t, d, width);
        T* dp = block.products + e * rows;
        zero(dscaled + e * width, width);
        if (!over.runs(n, t)) {
          zero(dp, rows), zero(candidate + e * width, width);
          continue;
        }
        const T* gates = args.input(0).as<T>() + over.at(n, t, d, rows);
        const T* hidden = args.input(2).as<T>() + at;
        const T* previous = args.input(3).as<T>() + at;
        const T* above = place<T>(dy, at);
        for (int64_t j = 0; j < width; ++j) {
          const T z = gates[j], q = gates[width + j], c = gates[both + j];
          const T whole = dh[e * width + j] + (above ? above[j] : T(0));
          const T dn = whole * (T(1) - z) * (T(1) - c * c);
          dp[j] = whole * (previous[j] - c) * (z * (T(1) - z));
          dp[width + j] = dn * hidden[j] * (q * (T(1) - q));
          dp[both + j] = attrs.reset_after ? dn * q : dn;
          candidate[e * width + j] = dn;
          dh[e * width + j] = whole * z;
        }
      }
      if (!attrs.reset_after) {
        add_product<T>(block.count, width, width, {candidate, width}, {r + both * width, width},
                       {dscaled, width});
        for (int64_t e = 0; e < block.count; ++e) {
          const int64_t n = block.first + e;
          if (!over.runs(n, t)) continue;
          const T* reset = args.input(0).as<T>() + over.at(n, t, d, rows) + width;
          const T* previous = args.input(3).as<T>() + over.at(n, t, d, width);
          for (int64_t j = 0; j < width; ++j) {
            const T s = dscaled[e * width + j], q = reset[j];
            block.products[e * rows + width + j] = s * previous[j] * (q * (T(1) - q));
            dh[e * width + j] += s * q;
          }
        }
      }
      add_product<T>(block.count, attrs.reset_after ? rows : both, width, {block.products, rows},
                     {r, width}, {dh, width});
      for (int64_t e = 0; e < block.count; ++e) {
        const T* dp = block.products + e * rows;
        const int64_t at = over.at(block.first + e, t, d, rows);
        if (T* dhw = place<T>(args.output(1), at)) std::copy_n(dp, rows, dhw);
        T* dxw = args.output(0).as<T>() + at;
        std::copy_n(dp, both, dxw);
        std::copy_n(candidate + e * width, width, dxw + both);
      }
    });
    over.store(dh, block, args.output(2));
  });
}
ATTUNE_INSTANTIATE(gru_grad)

}  // namespace attune::reference
