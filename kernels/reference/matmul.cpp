#include <algorithm>

#include "kernels/attrs.h"
#include "kernels/reference/elements.h"
#include "kernels/reference/instantiate.h"
#include "kernels/reference/multiply_add.h"
#include "kernels/reference/table.h"

namespace attune::reference {

// y[..,m,n] = sum over k of a[..,m,k] * b[..,k,n].
template <class T>
void matmul(const KernelArgs& args) {
  const auto& attrs = args.attributes<MatmulAttrs>();
  const Shape& a_shape = args.input(0).shape;
  const Shape& y_shape = args.output(0).shape;
  const int64_t batches = y_shape.product(0, y_shape.rank - 2);
  const int64_t rows = y_shape[y_shape.rank - 2], columns = y_shape[y_shape.rank - 1];
  const int64_t depth = a_shape[a_shape.rank - (attrs.transpose_a ? 2 : 1)];
  const T* a = args.input(0).as<T>();
  const T* b = args.input(1).as<T>();
  T* y = args.output(0).as<T>();

  constexpr int64_t kRowBlock = 32;
  const int64_t row_blocks = div_up(rows, kRowBlock);
  const int64_t tiles = div_up(columns, kLanes<T>);
  args.pool->parallel_for(batches * tiles * row_blocks, 1, [&](int64_t task, int64_t) {
    const int64_t batch = task / row_blocks / tiles;
    const int64_t column = task / row_blocks % tiles * kLanes<T>;
    const int64_t row = task % row_blocks * kRowBlock;
    MultiplyAdd<T> p;
    p.rows = std::min(kRowBlock, rows - row);
    p.depth = depth;
    p.width = std::min<int64_t>(kLanes<T>, columns - column);
    p.a_row = attrs.transpose_a ? 1 : depth;
    p.a_col = attrs.transpose_a ? rows : 1;
    p.a = a + batch * rows * depth + row * p.a_row;
    p.y = y + (batch * rows + row) * columns + column;
    p.y_row = columns;
    for (int64_t m = 0; m < p.rows; ++m) std::fill_n(p.y + m * columns, p.width, T(0));
    if (attrs.transpose_b) {
      p.b = b + (batch * columns + column) * depth;
      multiply_add_transposed(p, depth);
    } else {
      p.b = b + batch * depth * columns + column;
      p.b_row = columns;
      multiply_add(p);
    }
  });
}
ATTUNE_INSTANTIATE(matmul)

}  // namespace attune::reference
