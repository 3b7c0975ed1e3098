#include "kernels/clamp_mask.h"
#include "kernels/eigen/gemm.h"
#include "kernels/eigen/kernels.h"

namespace attune::eigen {
namespace {

// ---- Linear ------------------------------------------------------------------------------------

template <class T>
size_t linear_workspace(const KernelArgs& args, int) {
  const Shape& w = args.input(1).shape;
  return gemm_workspace_bytes<T>(w[0], w[1]);
}

template <class T>
void linear(const KernelArgs& args) {
  const auto& a = args.attributes<LinearAttrs>();
  const Tensor x = args.input(0), w = args.input(1), bias = args.input(2), y = args.output(0);
  const int64_t rows = x.shape[0], depth = x.shape[1], cols = w.shape[0];
  Epilogue<T> epilogue;
  epilogue.bias = bias.as<T>();
  epilogue.clamps = a.clamps();
  epilogue.min = static_cast<T>(a.clamp_min);
  epilogue.max = static_cast<T>(a.clamp_max);
  gemm(
      RowMajorA<T, MatrixRows<T>>{{x.as<T>(), depth}}, ColMajorB<T>{w.as<T>(), depth},
      [data = y.as<T>(), cols](int64_t m) { return data + m * cols; }, rows, cols, depth, epilogue,
      static_cast<T*>(args.workspace), *args.pool);
  write_clamp_mask<T>(args, a.clamp_min, a.clamp_max);
}

// ---- Matmul ------------------------------------------------------------------------------------

template <class T>
size_t matmul_workspace(const KernelArgs& args, int) {
  const MatmulSizes s = matmul_sizes(args);
  return gemm_workspace_bytes<T>(s.cols, s.depth);
}

template <class T>
void matmul(const KernelArgs& args) {
  const auto& attrs = args.attributes<MatmulAttrs>();
  const MatmulSizes s = matmul_sizes(args);
  for (int64_t i = 0; i < s.batch; ++i) {
    const T* a = args.input(0).as<T>() + i * s.rows * s.depth;
    const T* b = args.input(1).as<T>() + i * s.depth * s.cols;
    T* y = args.output(0).as<T>() + i * s.rows * s.cols;
    const auto product = [&](const auto& a_operand, const auto& b_operand) {
      gemm(
          a_operand, b_operand, [y, &s](int64_t m) { return y + m * s.cols; }, s.rows, s.cols,
          s.depth, Epilogue<T>{}, static_cast<T*>(args.workspace), *args.pool);
    };
    const auto with_b = [&](const auto& a_operand) {
      if (attrs.transpose_b)
        product(a_operand, ColMajorB<T>{b, s.depth});
      else
        product(a_operand, RowMajorB<T, MatrixRows<T>>{{b, s.cols}});
    };
    if (attrs.transpose_a)
      with_b(ColMajorA<T>{a, s.rows});
    else
      with_b(RowMajorA<T, MatrixRows<T>>{{a, s.depth}});
  }
}

template <class T>
constexpr Kernel kLinearOf{linear<T>, has_elements, linear_workspace<T>, nullptr, nullptr};
template <class T>
constexpr Kernel kMatmulOf{matmul<T>, matmul_supports, matmul_workspace<T>, nullptr, nullptr};

}  // namespace

constexpr KernelPair kLinear{kLinearOf<float>, kLinearOf<double>};
constexpr KernelPair kMatmul{kMatmulOf<float>, kMatmulOf<double>};

}  // namespace attune::eigen
