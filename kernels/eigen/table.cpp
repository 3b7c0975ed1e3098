#include "kernels/backends.h"
#include "kernels/eigen/kernels.h"

namespace attune {

const Kernel* find_eigen_kernel(Op op, DType dtype) {
  struct Row {
    Op op;
    const eigen::KernelPair* kernels;
  };
  static constexpr Row kRows[] = {
      {Op::conv2d, &eigen::kConv2d},
      {Op::conv2d_grad_input, &eigen::kConv2dGradInput},
      {Op::conv2d_transpose, &eigen::kConv2dGradInput},
      {Op::conv2d_grad_weight, &eigen::kConv2dGradWeight},
      {Op::depthwise_conv2d, &eigen::kDepthwiseConv2d},
      {Op::depthwise_conv2d_grad_input, &eigen::kDepthwiseConv2dGradInput},
      {Op::depthwise_conv2d_grad_weight, &eigen::kDepthwiseConv2dGradWeight},
      {Op::linear, &eigen::kLinear},
      {Op::matmul, &eigen::kMatmul},
      {Op::reduce, &eigen::kReduce},
  };
  for (const Row& row : kRows)
    if (row.op == op && is_real(dtype))
      return dtype == DType::f32 ? &row.kernels->f32 : &row.kernels->f64;
  return nullptr;
}

}  // namespace attune
