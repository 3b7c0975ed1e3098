#pragma once

#include "graph/import/onnx/onnx_node.h"

namespace attune {

// x by its moments over the axes of a bit set: (x - mean) / deviation, where the deviation is
// sqrt(shifted), and shifted the variance and epsilon.
struct Normalised {
  ValueId y, mean, shifted, deviation;
};
Normalised normalise(const OnnxNode& n, ValueId x, int32_t axes, double epsilon);
// x / sqrt(mean of squares + epsilon); nothing is subtracted.
Normalised normalise_size(const OnnxNode& n, ValueId x, int32_t axes, double epsilon);

// y = x * input 1 + input 2 (if there is one), both seen as `view`, or in the shapes that they
// have.
ValueId scale_and_shift(const OnnxNode& n, ValueId x,
                        const std::optional<Dims>& view = std::nullopt,
                        const char* suffix = nullptr);

}  // namespace attune
