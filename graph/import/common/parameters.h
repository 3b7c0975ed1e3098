#pragma once

#include <string>

#include "graph/import/common/known_tensor.h"

// What is a parameter of a model, and what a constant that belongs to it (a buffer).
namespace attune {

// How a node uses a tensor of floats.
enum class Use : uint8_t {
  weight,      // a layer's matrix or filter, its bias, a norm's scale
  operand,     // one side of an addition, a product, ..
  normalises,  // an operand that moves or scales an input of the model
  number,      // the 1 of 1 - x, or what keeps a square root away from zero
};

// By what the exporter says of it; where it says nothing, by use; and an operand by its name and
// contents, too: those that exporters make have names of a kind, and masks switch places off.
bool is_parameter(const KnownTensor& tensor, Use use);

// Whether a name is one that exporters give to their constants and not to a user's tensors:
// "onnx::Add_12", "/block/Constant_output_0", "217", "val_7", "model/rescaling/Cast/x:0".
bool looks_generated(const std::string& name);

}  // namespace attune
