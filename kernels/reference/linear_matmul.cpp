#include <algorithm>

#include "kernels/attrs.h"
#include "kernels/geometry.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/multiply_add.h"
#include "kernels/reference/table.h"

namespace attune::reference {
namespace {

// y[..,m,n] = bias[n] + sum over k of a[..,m,k] * b[..,k,n], of inputs 0 and 1; `bias` may be null.
template <class T>
void multiply(const KernelArgs& args, const MatmulSizes& s, const MatmulAttrs& attrs,
              const T* bias) {
  const T* a = args.input(0).as<T>();
  const T* b = args.input(1).as<T>();
  T* y = args.output(0).as<T>();
  constexpr int64_t kRowBlock = 32;
  const int64_t row_blocks = div_up(s.rows, kRowBlock);
  const int64_t tiles = div_up(s.cols, kLanes<T>);
  args.pool->parallel_for(s.batch * tiles * row_blocks, 1, [&](int64_t task, int64_t) {
    const int64_t batch = task / row_blocks / tiles;
    const int64_t column = task / row_blocks % tiles * kLanes<T>;
    const int64_t row = task % row_blocks * kRowBlock;
    MultiplyAdd<T> p;
    p.rows = std::min(kRowBlock, s.rows - row);
    p.depth = s.depth;
    p.width = std::min<int64_t>(kLanes<T>, s.cols - column);
    p.a_row = attrs.transpose_a ? 1 : s.depth;
    p.a_col = attrs.transpose_a ? s.rows : 1;
    p.a = a + batch * s.rows * s.depth + row * p.a_row;
    p.y = y + (batch * s.rows + row) * s.cols + column;
    p.y_row = s.cols;
    for (int64_t m = 0; m < p.rows; ++m)
      for (int64_t j = 0; j < p.width; ++j) p.y[m * s.cols + j] = bias ? bias[column + j] : T(0);
    if (attrs.transpose_b) {
      p.b = b + (batch * s.cols + column) * s.depth;
      multiply_add_transposed(p, s.depth);
    } else {
      p.b = b + batch * s.depth * s.cols + column;
      p.b_row = s.cols;
      multiply_add(p);
    }
  });
}

}  // namespace

// y[n,o] = bias[o] + sum over i of x[n,i] * w[o,i], then clamped.
template <class T>
void linear(const KernelArgs& args) {
  const Shape &x = args.input(0).shape, &w = args.input(1).shape;
  multiply(args, {1, x[0], w[0], w[1]}, {.transpose_b = true}, args.input(2).as<T>());
  clamp_output<T>(args, args.attributes<LinearAttrs>());
}
ATTUNE_INSTANTIATE(linear)

// y[..,m,n] = sum over k of a[..,m,k] * b[..,k,n].
template <class T>
void matmul(const KernelArgs& args) {
  multiply<T>(args, matmul_sizes(args), args.attributes<MatmulAttrs>(), nullptr);
}
ATTUNE_INSTANTIATE(matmul)

}  // namespace attune::reference
