#include "kernels/backends.h"
#include "kernels/xnnpack/operators.h"

namespace attune {

const Kernel* find_xnnpack_kernel(Op op, DType dtype) {
  if (dtype != DType::f32) return nullptr;
  switch (op) {
    case Op::conv2d:
      return &xnnpack::kConv2d;
    case Op::conv2d_grad_input:
      return &xnnpack::kConv2dGradInput;
    case Op::depthwise_conv2d:
      return &xnnpack::kDepthwiseConv2d;
    case Op::depthwise_conv2d_grad_input:
      return &xnnpack::kDepthwiseConv2dGradInput;
    case Op::linear:
      return &xnnpack::kLinear;
    default:
      return nullptr;
  }
}

}  // namespace attune
