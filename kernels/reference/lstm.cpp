#include "kernels/attrs.h"
#include "kernels/reference/recurrent.h"
#include "kernels/reference/table.h"

namespace attune::reference {

// Gates i, o, f, g of xw + b + r h: c' = f * c + i * g, h' = o * tanh(c').
template <class T>
void lstm(const KernelArgs& args) {
  Recurrence<T> over(args, args.input(5), args.attributes<LstmAttrs>().reverse);
  const int64_t width = over.width, rows = over.rows;
  over.for_blocks(args.input(1).as<T>(), [&](const auto& block) {
    T* h = block.states[0];
    T* c = block.states[1];
    over.load(args.input(3), block, h);
    over.load(args.input(4), block, c);
    const Biases<T> bias(args.input(2), block.direction, rows);
    over.each_step(block, false, [&](int64_t t) {
      for (int64_t e = 0; e < block.count; ++e) {
        const T* x = args.input(0).as<T>() + over.at(block.first + e, t, block.direction, rows);
        for (int64_t j = 0; j < rows; ++j) block.products[e * rows + j] = x[j] + bias.both(j);
      }
      add_product<T>(block.count, width, rows, {h, width}, {block.weights, rows},
                     {block.products, rows});
      for (int64_t e = 0; e < block.count; ++e) {
        const int64_t n = block.first + e, at = over.at(n, t, block.direction, width);
        T* y = args.output(0).as<T>() + at;
        T* cells = place<T>(args.output(3), at);
        T* gates = place<T>(args.output(4), over.at(n, t, block.direction, rows));
        if (!over.runs(n, t)) {
          zero(y, width), zero(cells, width), zero(gates, rows);
          continue;
        }
        T* p = block.products + e * rows;
        for (int64_t j = 0; j < 3 * width; ++j) p[j] = sigmoid_value(p[j]);
        for (int64_t j = 3 * width; j < rows; ++j) p[j] = tanh_value(p[j]);
        for (int64_t j = 0; j < width; ++j) {
          T& cell = c[e * width + j];
          cell = p[2 * width + j] * cell + p[j] * p[3 * width + j];
          y[j] = h[e * width + j] = p[width + j] * tanh_value(cell);
          if (cells) cells[j] = cell;
        }
        if (gates) std::copy_n(p, rows, gates);
      }
    });
    over.store(h, block, args.output(1));
    over.store(c, block, args.output(2));
  });
}
ATTUNE_INSTANTIATE(lstm)

// With t = tanh(c') and what comes back from later steps in dh and dc:
// do = dh * t, dc' = dc + dh * o * (1 - t^2); di = dc' * g, df = dc' * c, dg = dc' * i, dc = dc' *
// f; of gates to what goes into them, then dh = r^T dxw.
template <class T>
void lstm_grad(const KernelArgs& args) {
  const Tensor c0 = args.input(3), dy = args.input(5);
  Recurrence<T> over(args, args.input(4), args.attributes<LstmAttrs>().reverse);
  const int64_t width = over.width, rows = over.rows;
  over.for_blocks(nullptr, [&](const auto& block) {
    T* dh = block.states[0];
    T* dc = block.states[1];
    over.load(args.input(6), block, dh);
    over.load(args.input(7), block, dc);
    over.each_step(block, true, [&](int64_t t) {
      for (int64_t e = 0; e < block.count; ++e) {
        const int64_t n = block.first + e, d = block.direction;
        T* dp = block.products + e * rows;
        T* dxw = args.output(0).as<T>() + over.at(n, t, d, rows);
        if (!over.runs(n, t)) {
          zero(dp, rows), zero(dxw, rows);
          continue;
        }
        const T* gates = args.input(0).as<T>() + over.at(n, t, d, rows);
        const T* cells = args.input(2).as<T>();
        const T* cell = cells + over.at(n, t, d, width);
        const int64_t before = over.before(n, t, d);
        const T* last =
            before >= 0 ? cells + over.at(n, before, d, width) : place<T>(c0, over.at(n, d, width));
        const T* above = place<T>(dy, over.at(n, t, d, width));
        for (int64_t j = 0; j < width; ++j) {
          const T i = gates[j], o = gates[width + j], f = gates[2 * width + j];
          const T g = gates[3 * width + j], th = tanh_value(cell[j]);
          const T whole = dh[e * width + j] + (above ? above[j] : T(0));
          const T dcell = dc[e * width + j] + whole * o * (T(1) - th * th);
          dp[j] = dcell * g * (i * (T(1) - i));
          dp[width + j] = whole * th * (o * (T(1) - o));
          dp[2 * width + j] = dcell * (last ? last[j] : T(0)) * (f * (T(1) - f));
          dp[3 * width + j] = dcell * i * (T(1) - g * g);
          dc[e * width + j] = dcell * f;
          dh[e * width + j] = T(0);
        }
        std::copy_n(dp, rows, dxw);
      }
      const T* r = args.input(1).as<T>() + block.direction * rows * width;
      add_product<T>(block.count, rows, width, {block.products, rows}, {r, width}, {dh, width});
    });
    over.store(dh, block, args.output(1));
    over.store(dc, block, args.output(2));
  });
}
ATTUNE_INSTANTIATE(lstm_grad)

}  // namespace attune::reference
