#include "kernels/eigen/table.h"

#include "kernels/eigen/kernels.h"

namespace attune {

const Kernel* find_eigen_kernel(Op op, DType dtype) {
  const auto of_dtype = [dtype](const eigen::KernelPair& pair) -> const Kernel* {
    if (dtype == DType::f32) return &pair.f32;
    if (dtype == DType::f64) return &pair.f64;
    return nullptr;
  };
  switch (op) {
    case Op::conv2d:
      return of_dtype(eigen::kConv2d);
    case Op::conv2d_grad_input:
      return of_dtype(eigen::kConv2dGradInput);
    case Op::conv2d_grad_weight:
      return of_dtype(eigen::kConv2dGradWeight);
    case Op::depthwise_conv2d:
      return of_dtype(eigen::kDepthwiseConv2d);
    case Op::depthwise_conv2d_grad_input:
      return of_dtype(eigen::kDepthwiseConv2dGradInput);
    case Op::depthwise_conv2d_grad_weight:
      return of_dtype(eigen::kDepthwiseConv2dGradWeight);
    case Op::linear:
      return of_dtype(eigen::kLinear);
    case Op::matmul:
      return of_dtype(eigen::kMatmul);
    case Op::reduce:
      return of_dtype(eigen::kReduce);
    default:
      return nullptr;
  }
}

}  // namespace attune
