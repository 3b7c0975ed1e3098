#include <algorithm>

#include "attune/thread_pool.h"
#include "kernels/eigen/kernels.h"
#include "kernels/eigen/packet.h"

// Sums over a run of neighbouring axes before the last one: the gradient of a bias, the average of
// an image. Vectors run over what stays on the inside. A sum is that of blocks of kBlockRows rows,
// in order, each the sum of its rows, in order.
namespace attune::eigen {
namespace {

constexpr int64_t kBlockRows = 128;

// y[0 .. cols) = sum over `rows` rows of x[row * stride ..], rows > 0.
template <class T>
void sum_rows(const T* x, int64_t rows, int64_t stride, int64_t cols, T* y) {
  constexpr int kPackets = 4, kL = kLanes<T>;
  for (int64_t row = 0; row < rows; row += kBlockRows) {
    const int64_t n = std::min(kBlockRows, rows - row);
    const T* block = x + row * stride;
    int64_t c = 0;
    for (; c + kPackets * kL <= cols; c += kPackets * kL) {
      Packet<T> sums[kPackets];
      for (auto& s : sums) s = repeat(T(0));
      for (int64_t i = 0; i < n; ++i)
        for (int p = 0; p < kPackets; ++p)
          sums[p] = padd(sums[p], load_unaligned(block + i * stride + c + p * kL));
      for (int p = 0; p < kPackets; ++p) {
        T* to = y + c + p * kL;
        store_unaligned(to, row == 0 ? sums[p] : padd(load_unaligned(to), sums[p]));
      }
    }
    for (; c < cols; ++c) {
      T sum = 0;
      for (int64_t i = 0; i < n; ++i) sum += block[i * stride + c];
      y[c] = row == 0 ? sum : y[c] + sum;
    }
  }
}

template <class T>
void reduce(const KernelArgs& args) {
  const RowSizes s = reduced_sizes(args);
  const T* x = args.input(0).as<T>();
  T* y = args.output(0).as<T>();
  const bool mean = args.attributes<ReduceAttrs>().mean;
  // Two cache lines of columns a task.
  const int64_t tile = 128 / sizeof(T), tiles = (s.inner + tile - 1) / tile;
  args.pool->parallel_for(s.outer * tiles, 1, [&](int64_t task, int64_t) {
    const int64_t outer = task / tiles, begin = task % tiles * tile;
    const int64_t cols = std::min(tile, s.inner - begin);
    T* to = y + outer * s.inner + begin;
    sum_rows(x + outer * s.rows * s.inner + begin, s.rows, s.inner, cols, to);
    if (mean)
      for (int64_t c = 0; c < cols; ++c) to[c] /= static_cast<T>(s.rows);
  });
}

template <class T>
constexpr Kernel kReduceOf{reduce<T>, reduces_columns, nullptr, nullptr, nullptr};

}  // namespace

constexpr KernelPair kReduce{kReduceOf<float>, kReduceOf<double>};

}  // namespace attune::eigen
