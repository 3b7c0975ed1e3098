#pragma once

#include "kernels/geometry.h"
#include "kernels/kernel.h"

// The tables of each file of the backend: kernels in f32 and f64.
namespace attune::eigen {

struct KernelPair {
  Kernel f32, f64;
};

extern const KernelPair kConv2d, kConv2dGradInput, kConv2dGradWeight;
extern const KernelPair kDepthwiseConv2d, kDepthwiseConv2dGradInput, kDepthwiseConv2dGradWeight;
extern const KernelPair kLinear, kMatmul, kReduce;

}  // namespace attune::eigen
