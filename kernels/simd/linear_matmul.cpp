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

// y = a b^T, a[rows, depth] and b[cols, depth]. With few rows b would be packed to be used hardly
// more than once: then b a^T is computed, whose sums are the same ones.
struct Product {
  const float *a, *b;
  float* y;
  int64_t rows, cols, depth;
};

bool exchanges(int64_t rows, int64_t cols) {
  return rows <= std::max(kLanes / 2, 2) && cols > rows;
}

size_t product_workspace(int64_t rows, int64_t cols, int64_t depth) {
  return gemm_workspace_bytes(exchanges(rows, cols) ? rows : cols, depth);
}

void multiply_by_transposed(const Product& p, Epilogue epilogue, float* workspace,
                            ThreadPool& pool) {
  float* const y = p.y;
  if (exchanges(p.rows, p.cols)) {
    epilogue.transposed = true;
    epilogue.col_stride = p.cols;
    gemm(
        RowMajorA<MatrixRows>{{p.b, p.depth}}, ColMajorB{p.a, p.depth},
        [y](int64_t m) { return y + m; }, p.cols, p.rows, p.depth, epilogue, workspace, pool);
    return;
  }
  gemm(
      RowMajorA<MatrixRows>{{p.a, p.depth}}, ColMajorB{p.b, p.depth},
      [y, cols = p.cols](int64_t m) { return y + m * cols; }, p.rows, p.cols, p.depth, epilogue,
      workspace, pool);
}

// ---- Linear ------------------------------------------------------------------------------------

size_t linear_workspace(const KernelArgs& args, int) {
  const Shape& w = args.input(1).shape;
  return product_workspace(args.input(0).shape[0], w[0], w[1]);
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
  multiply_by_transposed(
      {x.as<float>(), w.as<float>(), y.as<float>(), x.shape[0], w.shape[0], x.shape[1]}, epilogue,
      static_cast<float*>(args.workspace), *args.pool);
  if (mask)
    write_mask(y.as<float>(), y.shape.elements(), epilogue.min, epilogue.max, mask.as<uint8_t>(),
               *args.pool);
}

// ---- Matmul ------------------------------------------------------------------------------------

struct MatmulSizes {
  int64_t batch, rows, cols, depth;
};

MatmulSizes matmul_sizes(const KernelArgs& args) {
  const auto& a = args.attributes<MatmulAttrs>();
  const Shape &y = args.output(0).shape, &x = args.input(0).shape;
  return {y.product(0, y.rank - 2), y[y.rank - 2], y[y.rank - 1],
          x[x.rank - (a.transpose_a ? 2 : 1)]};
}

bool matmul_supports(const KernelArgs& args) {
  return has_elements(args) && args.output(0).shape.rank >= 2 && args.input(0).shape.rank >= 2 &&
         args.input(1).shape.rank >= 2;
}

size_t matmul_workspace(const KernelArgs& args, int) {
  const auto& a = args.attributes<MatmulAttrs>();
  const MatmulSizes s = matmul_sizes(args);
  if (a.transpose_b && !a.transpose_a) return product_workspace(s.rows, s.cols, s.depth);
  return gemm_workspace_bytes(s.cols, s.depth);
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
      gemm(RowMajorA<MatrixRows>{{a, s.depth}}, b_rows, y_row, s.rows, s.cols, s.depth, Epilogue{},
           workspace, *args.pool);
    else if (attrs.transpose_b)
      gemm(a_columns, ColMajorB{b, s.depth}, y_row, s.rows, s.cols, s.depth, Epilogue{}, workspace,
           *args.pool);
    else
      gemm(a_columns, b_rows, y_row, s.rows, s.cols, s.depth, Epilogue{}, workspace, *args.pool);
  }
}

constexpr Kernel kLinear{linear, has_elements, linear_workspace, nullptr, nullptr};
constexpr Kernel kMatmul{matmul, matmul_supports, matmul_workspace, nullptr, nullptr};

}  // namespace

const Kernel* find_linear_matmul_here(Op op) {
  if (op == Op::linear) return &kLinear;
  if (op == Op::matmul) return &kMatmul;
  return nullptr;
}

}  // namespace HWY_NAMESPACE
}  // namespace attune::simd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attune::simd {
HWY_EXPORT(find_linear_matmul_here);
const Kernel* find_linear_matmul(Op op) {
  return HWY_DYNAMIC_DISPATCH(find_linear_matmul_here)(op);
}
}  // namespace attune::simd
#endif
