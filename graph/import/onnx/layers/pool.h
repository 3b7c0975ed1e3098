#pragma once

#include "graph/import/onnx/layers/window.h"

namespace attune {

// max_pool2d or avg_pool2d over the windows of x[N,H,W,C] or [N,D,H,W,C].
ValueId pool(const OnnxNode& n, Op op, ValueId x, const Window& w, bool count_padding,
             const char* suffix = nullptr);

}  // namespace attune
