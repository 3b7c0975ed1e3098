#pragma once

#include "tests/support/onnx_builder.h"

namespace attune::test {

// Small transformers that classify sequences of ids, shaped and named as Hugging Face's are
// exported: by PyTorch's TorchScript exporter, or by its newest.
enum class Family : uint8_t { bert, distilbert, llama };
enum class Exporter : uint8_t { torchscript, dynamo };

struct TransformerSizes {
  int64_t blocks = 2, width = 16, heads = 2, inner = 32, length = 8, vocabulary = 20, classes = 3;
};

// ids[N,length] -> scores[N,classes].
OnnxModel transformer(Family family, Exporter exporter, const TransformerSizes& sizes = {});

}  // namespace attune::test
