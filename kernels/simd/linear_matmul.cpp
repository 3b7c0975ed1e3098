#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/simd/linear_matmul.cpp"
#include <hwy/foreach_target.h>
//
#include "kernels/simd/gemm-inl.h"
#include "kernels/simd/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace attune::simd {
namespace HWY_NAMESPACE {
namespace {

// y = a b with a[rows, depth] and b[depth, cols], or b transposed: b[cols, depth].
struct Product {
  const float *a, *b;
  float* y;
  int64_t rows, cols, depth;
};

// ---- Vectors -----------------------------------------------------------------------------------

// With a vector or a few the product waits for its matrix alone: it is read once, in order.
constexpr int64_t kMaxVectors = 4;

// Adds kLanes partial sums, every kLanes-th product each, of kRows vectors of a with a row of b.
template <int kRows, bool kPartial>
HWY_INLINE void add_products(const float* a, int64_t a_stride, const float* b, int n, V* sums) {
  const V v = load_some<kPartial>(b, n);
  for (int r = 0; r < kRows; ++r)
    sums[r] = hn::MulAdd(load_some<kPartial>(a + r * a_stride, n), v, sums[r]);
}

// y[r, n] = epilogue(sum over k of a[r, k] * b[n, k]) for rows [begin, end) of b.
template <int kRows>
void multiply_vectors_by_rows(const Product& p, const Epilogue& e, int64_t begin, int64_t end) {
  const float* const a = p.a;
  const int64_t depth = p.depth;
  for (int64_t n = begin; n < end; ++n) {
    const float* row = p.b + n * depth;
    V even[kRows], odd[kRows];
    for (int r = 0; r < kRows; ++r) even[r] = odd[r] = zero();
    int64_t k = 0;
    for (; k + 2 * kLanes <= depth; k += 2 * kLanes) {
      add_products<kRows, false>(a + k, depth, row + k, kLanes, even);
      add_products<kRows, false>(a + k + kLanes, depth, row + k + kLanes, kLanes, odd);
    }
    for (; k + kLanes <= depth; k += kLanes)
      add_products<kRows, false>(a + k, depth, row + k, kLanes, even);
    if (k < depth)
      add_products<kRows, true>(a + k, depth, row + k, static_cast<int>(depth - k), odd);
    for (int r = 0; r < kRows; ++r) {
      float v = hn::GetLane(hn::SumOfLanes(D(), hn::Add(even[r], odd[r])));
      if (e.bias) v += e.bias[n];
      if (e.clamps) v = hn::GetLane(clamp_vector(repeat(v), repeat(e.min), repeat(e.max)));
      p.y[r * p.cols + n] = v;
    }
  }
}

void multiply_vectors_by_transposed(const Product& p, const Epilogue& epilogue, ThreadPool& pool) {
  pool.parallel_for(p.cols, 64, [&](int64_t begin, int64_t end) {
    if (p.rows == 1) multiply_vectors_by_rows<1>(p, epilogue, begin, end);
    if (p.rows == 2) multiply_vectors_by_rows<2>(p, epilogue, begin, end);
    if (p.rows == 3) multiply_vectors_by_rows<3>(p, epilogue, begin, end);
    if (p.rows == 4) multiply_vectors_by_rows<4>(p, epilogue, begin, end);
  });
}

// sums[0 .. n) += a[0] * b[0 .. n) + a[1] * b[stride .. stride + n) + ..., one after the other.
template <int kCount>
void add_rows(const float* a, const float* b, int64_t stride, int64_t n, float* sums) {
  V scale[kCount];
  for (int i = 0; i < kCount; ++i) scale[i] = repeat(a[i]);
  int64_t j = 0;
  for (; j + kLanes <= n; j += kLanes) {
    V v = load(sums + j);
    for (int i = 0; i < kCount; ++i) v = hn::MulAdd(scale[i], load(b + i * stride + j), v);
    store(v, sums + j);
  }
  if (j < n) {
    const int rest = static_cast<int>(n - j);
    V v = load_partial(sums + j, rest);
    for (int i = 0; i < kCount; ++i)
      v = hn::MulAdd(scale[i], load_partial(b + i * stride + j, rest), v);
    store_partial(v, sums + j, rest);
  }
}

// y[r, n] = sum over k of a[r, k] * b[k, n] for columns [begin, end) of b, in the order of gemm.
// `sums` is as large as y.
void multiply_vectors_by_columns(const Product& p, float* sums, int64_t begin, int64_t end) {
  constexpr int kAtOnce = 4;
  const int64_t n = end - begin;
  for (int64_t k0 = 0; k0 < p.depth; k0 += kBlockK) {
    const int64_t k1 = std::min<int64_t>(k0 + kBlockK, p.depth);
    for (int64_t r = 0; r < p.rows; ++r) fill_zeros(sums + r * p.cols + begin, n);
    for (int64_t k = k0; k < k1;) {
      const bool whole = k + kAtOnce <= k1;
      for (int64_t r = 0; r < p.rows; ++r) {
        const float *a = p.a + r * p.depth + k, *b = p.b + k * p.cols + begin;
        float* const to = sums + r * p.cols + begin;
        whole ? add_rows<kAtOnce>(a, b, p.cols, n, to) : add_rows<1>(a, b, p.cols, n, to);
      }
      k += whole ? kAtOnce : 1;
    }
    for (int64_t r = 0; r < p.rows; ++r) {
      float* const to = p.y + r * p.cols + begin;
      const float* const from = sums + r * p.cols + begin;
      for (int64_t j = 0; j < n; ++j) to[j] = k0 == 0 ? from[j] : to[j] + from[j];
    }
  }
}

// Elements of a row of y from `j` on.
template <int kDepth, bool kPartial>
HWY_INLINE void multiply_outer_vector(const V* scale, const float* b, int64_t cols, int64_t j,
                                      int n, float* y) {
  V v = zero();
  for (int k = 0; k < kDepth; ++k)
    v = hn::MulAdd(scale[k], load_some<kPartial>(b + k * cols + j, n), v);
  store_some<kPartial>(v, y + j, n);
}

// y[m, n] = sum over k < kDepth of a[k, m] * b[k, n] for rows [begin, end) of y, in the order of
// gemm. All there is to do is to write y.
template <int kDepth>
void multiply_outer_rows(const Product& p, int64_t begin, int64_t end) {
  for (int64_t m = begin; m < end; ++m) {
    V scale[kDepth];
    for (int k = 0; k < kDepth; ++k) scale[k] = repeat(p.a[k * p.rows + m]);
    float* const y = p.y + m * p.cols;
    int64_t j = 0;
    for (; j + kLanes <= p.cols; j += kLanes)
      multiply_outer_vector<kDepth, false>(scale, p.b, p.cols, j, kLanes, y);
    if (j < p.cols)
      multiply_outer_vector<kDepth, true>(scale, p.b, p.cols, j, static_cast<int>(p.cols - j), y);
  }
}

// y = a^T b of a few vectors: a[depth, rows], b[depth, cols].
void multiply_outer(const Product& p, ThreadPool& pool) {
  constexpr int64_t kElements = 1 << 14;  // of y, for a thread to take at once
  pool.parallel_for(p.rows, std::max<int64_t>(1, kElements / p.cols),
                    [&](int64_t begin, int64_t end) {
                      if (p.depth == 1) multiply_outer_rows<1>(p, begin, end);
                      if (p.depth == 2) multiply_outer_rows<2>(p, begin, end);
                      if (p.depth == 3) multiply_outer_rows<3>(p, begin, end);
                      if (p.depth == 4) multiply_outer_rows<4>(p, begin, end);
                    });
}

// ---- Matrices ----------------------------------------------------------------------------------

using MatrixA = RowMajorA<MatrixRows>;
constexpr Cut kMatrices{.row_preference = 2};

// y = a b^T.
void multiply_by_transposed(const Product& p, const Epilogue& epilogue, float* workspace,
                            ThreadPool& pool) {
  const MatrixA a{{p.a, p.depth}};
  const ColMajorB b{p.b, p.depth};
  const auto y_row = [&p](int64_t m) { return p.y + m * p.cols; };
  gemm(a, b, y_row, p.rows, p.cols, p.depth, epilogue, kMatrices, workspace, pool);
}

size_t plain_workspace(int64_t rows, int64_t cols, int64_t depth, int64_t threads) {
  if (rows <= kMaxVectors) return static_cast<size_t>(rows * cols) * sizeof(float);
  return gemm_workspace_bytes<MatrixA>(rows, cols, depth, kMatrices, threads);
}

// y = a b, a[rows, depth] and b[depth, cols].
void multiply_plain(const Product& p, float* workspace, ThreadPool& pool) {
  const MatrixA a{{p.a, p.depth}};
  const RowMajorB<MatrixRows> b{{p.b, p.cols}};
  const auto y_row = [&p](int64_t m) { return p.y + m * p.cols; };
  if (p.rows <= kMaxVectors) {
    const int64_t share = (p.cols + pool.threads() - 1) / pool.threads();
    pool.parallel_for(p.cols, (share + kLine - 1) / kLine * kLine, [&](int64_t begin, int64_t end) {
      multiply_vectors_by_columns(p, workspace, begin, end);
    });
  } else {
    gemm(a, b, y_row, p.rows, p.cols, p.depth, Epilogue{}, kMatrices, workspace, pool);
  }
}

// ---- Linear ------------------------------------------------------------------------------------

// Rows are examples here, of which nobody takes a slice: their sums need no order that others have.
size_t linear_workspace(const KernelArgs& args, int threads) {
  const Shape& w = args.input(1).shape;
  const int64_t examples = args.input(0).shape[0];
  return examples <= kMaxVectors
             ? 0
             : gemm_workspace_bytes<MatrixA>(examples, w[0], w[1], kMatrices, threads);
}

void linear(const KernelArgs& args) {
  const auto& a = args.attributes<LinearAttrs>();
  const Tensor x = args.input(0), w = args.input(1), bias = args.input(2);
  const Tensor y = args.output(0), mask = args.output(1);
  Epilogue epilogue;
  epilogue.bias = bias.as<float>();
  epilogue.clamps = a.clamps();
  epilogue.min = static_cast<float>(a.clamp_min);
  epilogue.max = static_cast<float>(a.clamp_max);
  const Product p{x.as<float>(), w.as<float>(), y.as<float>(), x.shape[0], w.shape[0], x.shape[1]};
  if (p.rows <= kMaxVectors)
    multiply_vectors_by_transposed(p, epilogue, *args.pool);
  else
    multiply_by_transposed(p, epilogue, static_cast<float*>(args.workspace), *args.pool);
  if (mask)
    write_mask(y.as<float>(), y.shape.elements(), epilogue.min, epilogue.max, mask.as<uint8_t>(),
               *args.pool);
}

// ---- Matmul ------------------------------------------------------------------------------------

size_t matmul_workspace(const KernelArgs& args, int threads) {
  const auto& a = args.attributes<MatmulAttrs>();
  const MatmulSizes s = matmul_sizes(args);
  if (a.transpose_a && !a.transpose_b && s.depth <= kMaxVectors) return 0;
  if (a.transpose_a)
    return gemm_workspace_bytes<ColMajorA>(s.rows, s.cols, s.depth, kMatrices, threads);
  if (a.transpose_b)
    return gemm_workspace_bytes<MatrixA>(s.rows, s.cols, s.depth, kMatrices, threads);
  return plain_workspace(s.rows, s.cols, s.depth, threads);
}

void matmul(const KernelArgs& args) {
  const auto& attrs = args.attributes<MatmulAttrs>();
  const MatmulSizes s = matmul_sizes(args);
  float* const workspace = static_cast<float*>(args.workspace);
  for (int64_t i = 0; i < s.batch; ++i) {
    const float* a = args.input(0).as<float>() + i * s.rows * s.depth;
    const float* b = args.input(1).as<float>() + i * s.depth * s.cols;
    float* y = args.output(0).as<float>() + i * s.rows * s.cols;
    const auto y_row = [y, &s](int64_t m) { return y + m * s.cols; };
    const ColMajorA a_columns{a, s.rows};
    const RowMajorB<MatrixRows> b_rows{{b, s.cols}};
    if (!attrs.transpose_a && attrs.transpose_b)
      multiply_by_transposed({a, b, y, s.rows, s.cols, s.depth}, Epilogue{}, workspace, *args.pool);
    else if (!attrs.transpose_a)
      multiply_plain({a, b, y, s.rows, s.cols, s.depth}, workspace, *args.pool);
    else if (attrs.transpose_b)
      gemm(a_columns, ColMajorB{b, s.depth}, y_row, s.rows, s.cols, s.depth, Epilogue{}, kMatrices,
           workspace, *args.pool);
    else if (s.depth <= kMaxVectors)
      multiply_outer({a, b, y, s.rows, s.cols, s.depth}, *args.pool);
    else
      gemm(a_columns, b_rows, y_row, s.rows, s.cols, s.depth, Epilogue{}, kMatrices, workspace,
           *args.pool);
  }
}

constexpr Kernel kLinear{linear, has_elements, linear_workspace, nullptr, nullptr};
constexpr Kernel kMatmul{matmul, matmul_supports, matmul_workspace, nullptr, nullptr};

}  // namespace

const Kernel* find_linear_matmul_here(Op op) {
  if (is<Op::linear>(op)) return &kLinear;
  if (is<Op::matmul>(op)) return &kMatmul;
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
ATTUNE_FIND_FOR_PROCESSOR(find_linear_matmul)
#endif
