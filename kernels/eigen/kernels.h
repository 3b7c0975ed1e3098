#pragma once

#include "kernels/kernel.h"

// The tables of each file of the backend: kernels in f32 and f64.
namespace attune::eigen {

struct KernelPair {
  Kernel f32, f64;
};

extern const KernelPair kConv2d, kConv2dGradInput, kConv2dGradWeight;
extern const KernelPair kDepthwiseConv2d, kDepthwiseConv2dGradInput, kDepthwiseConv2dGradWeight;
extern const KernelPair kLinear, kMatmul, kReduce;

// Whether every given input and the first output have elements.
inline bool has_elements(const KernelArgs& args) {
  for (int i = 0; i < args.num_inputs; ++i)
    if (i < 2 && args.inputs[i].shape.elements() <= 0) return false;
  return args.output(0).shape.elements() > 0;
}

}  // namespace attune::eigen
