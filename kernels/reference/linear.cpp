#include <algorithm>

#include "kernels/attrs.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/instantiate.h"
#include "kernels/reference/multiply_add.h"
#include "kernels/reference/table.h"

namespace attune::reference {

// y[n,o] = bias[o] + sum over i of x[n,i] * w[o,i], then clamped.
template <class T>
void linear(const KernelArgs& args) {
  const int64_t rows = args.input(0).shape[0];
  const int64_t outputs = args.input(1).shape[0], inputs = args.input(1).shape[1];
  const T* x = args.input(0).as<T>();
  const T* w = args.input(1).as<T>();
  const T* bias = args.input(2).as<T>();
  T* y = args.output(0).as<T>();

  constexpr int64_t kRowBlock = 32;
  const int64_t row_blocks = div_up(rows, kRowBlock);
  const int64_t tiles = div_up(outputs, kLanes<T>);
  args.pool->parallel_for(tiles * row_blocks, 1, [&](int64_t task, int64_t) {
    const int64_t o = task / row_blocks * kLanes<T>;
    const int64_t row = task % row_blocks * kRowBlock;
    MultiplyAdd<T> p;
    p.rows = std::min(kRowBlock, rows - row);
    p.depth = inputs;
    p.width = std::min<int64_t>(kLanes<T>, outputs - o);
    p.a = x + row * inputs;
    p.a_row = inputs;
    p.b = w + o * inputs;
    p.y = y + row * outputs + o;
    p.y_row = outputs;
    for (int64_t m = 0; m < p.rows; ++m)
      for (int64_t j = 0; j < p.width; ++j) p.y[m * outputs + j] = bias ? bias[o + j] : T(0);
    multiply_add_transposed(p, inputs);
  });
  clamp_output<T>(args, args.attributes<LinearAttrs>());
}
ATTUNE_INSTANTIATE(linear)

}  // namespace attune::reference
