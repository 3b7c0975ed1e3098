#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/reduce.cpp"
#include <hwy/foreach_target.h>
//
#include <algorithm>

#include "kernels/simd/kernels.h"
#include "kernels/simd/vector-inl.h"

// Sums over a run of neighbouring axes before the last one (the gradient of a bias, the average of
// an image) and their gradient. Vectors run over what stays on the inside. A sum is that of blocks
// of kSumRows rows, in order, each the sum of its rows, in order.
HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {
namespace {

constexpr int kVectors = 4;  // of columns at once

// ---- Reduce ------------------------------------------------------------------------------------

// y[0 .. kCount vectors) = sum over `rows` rows of x; of a partial vector n columns.
template <int kCount, bool kPartial>
void sum_columns(const float* x, int64_t rows, int64_t stride, int n, float* y) {
  for (int64_t row = 0; row < rows; row += kSumRows) {
    const int64_t end = std::min(row + kSumRows, rows);
    V a = zero(), b = zero(), c = zero(), d = zero();
    for (int64_t i = row; i < end; ++i) {
      const float* from = x + i * stride;
      a = hn::Add(a, load_some<kPartial>(from, n));
      if constexpr (kCount == kVectors) {
        b = hn::Add(b, load(from + kLanes));
        c = hn::Add(c, load(from + 2 * kLanes));
        d = hn::Add(d, load(from + 3 * kLanes));
      }
    }
    if (row > 0) a = hn::Add(load_some<kPartial>(y, n), a);
    store_some<kPartial>(a, y, n);
    if constexpr (kCount == kVectors) {
      if (row > 0) {
        b = hn::Add(load(y + kLanes), b);
        c = hn::Add(load(y + 2 * kLanes), c);
        d = hn::Add(load(y + 3 * kLanes), d);
      }
      store(b, y + kLanes);
      store(c, y + 2 * kLanes);
      store(d, y + 3 * kLanes);
    }
  }
}

void reduce(const KernelArgs& args) {
  const RowSizes s = reduced_sizes(args);
  const float* x = args.input(0).as<float>();
  float* y = args.output(0).as<float>();
  const bool mean = args.attributes<ReduceAttrs>().mean;
  constexpr int64_t kTile = kVectors * kLanes;
  const int64_t tiles = (s.inner + kTile - 1) / kTile;
  args.pool->parallel_for(s.outer * tiles, 1, [&](int64_t task, int64_t) {
    const int64_t outer = task / tiles, begin = task % tiles * kTile;
    const int64_t cols = std::min(kTile, s.inner - begin);
    const float* from = x + outer * s.rows * s.inner + begin;
    float* to = y + outer * s.inner + begin;
    int64_t c = 0;
    if (cols == kTile) {
      sum_columns<kVectors, false>(from, s.rows, s.inner, kLanes, to);
      c = kTile;
    }
    for (; c + kLanes <= cols; c += kLanes)
      sum_columns<1, false>(from + c, s.rows, s.inner, kLanes, to + c);
    if (c < cols)
      sum_columns<1, true>(from + c, s.rows, s.inner, static_cast<int>(cols - c), to + c);
    if (mean)
      for (int64_t i = 0; i < cols; ++i) to[i] /= static_cast<float>(s.rows);
  });
}

// ---- Broadcast ---------------------------------------------------------------------------------

RowSizes repeated_sizes(const KernelArgs& args) {
  const Shape &x = args.input(0).shape, &y = args.output(0).shape;
  RowSizes s;
  for (int i = 0; i < y.rank; ++i) {
    const int from = i - (y.rank - x.rank);
    s.add(y[i], from < 0 || x[from] == 1);
  }
  return s.joined();
}

bool broadcast_supports(const KernelArgs& args) {
  return has_elements(args) && repeated_sizes(args).run;
}

void repeat_rows(const float* x, int64_t rows, int64_t cols, float divisor, float* y) {
  if (cols == 1) {
    const float value = *x / divisor;
    const V v = repeat(value);
    int64_t i = 0;
    for (; i + kLanes <= rows; i += kLanes) store(v, y + i);
    for (; i < rows; ++i) y[i] = value;
    return;
  }
  const V by = repeat(divisor);
  int64_t c = 0;
  for (; c + kLanes <= cols; c += kLanes) store(hn::Div(load(x + c), by), y + c);
  if (c < cols) {
    const int n = static_cast<int>(cols - c);
    store_partial(hn::Div(load_partial(x + c, n), by), y + c, n);
  }
  for (int64_t row = 1; row < rows; ++row) copy(y + row * cols, y, cols);
}

void broadcast_to(const KernelArgs& args) {
  const RowSizes s = repeated_sizes(args);
  const float* x = args.input(0).as<float>();
  float* y = args.output(0).as<float>();
  const float divisor = args.attributes<BroadcastAttrs>().mean ? static_cast<float>(s.rows) : 1.0f;
  const int64_t tile = std::max<int64_t>(1, 16384 / s.inner), tiles = (s.rows + tile - 1) / tile;
  args.pool->parallel_for(s.outer * tiles, 1, [&](int64_t task, int64_t) {
    const int64_t outer = task / tiles, begin = task % tiles * tile;
    repeat_rows(x + outer * s.inner, std::min(tile, s.rows - begin), s.inner, divisor,
                y + (outer * s.rows + begin) * s.inner);
  });
}

constexpr Kernel kReduce{reduce, reduces_columns, nullptr, nullptr, nullptr};
constexpr Kernel kBroadcastTo{broadcast_to, broadcast_supports, nullptr, nullptr, nullptr};

}  // namespace

const Kernel* find_reduce_here(Op op) {
  if (is<Op::reduce>(op)) return &kReduce;
  if (is<Op::broadcast_to>(op)) return &kBroadcastTo;
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
ATTUNE_FIND_FOR_PROCESSOR(find_reduce)
#endif
