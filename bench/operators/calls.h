#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/kernel.h"

// What is measured: calls of operators as training runs them, for the shapes of layer_shapes.def.
namespace attune::bench {

struct Operand {
  Shape shape;  // rank 0: absent
  DType dtype = DType::f32;
  bool parameter = false;  // may be frozen
  int lies_on = -1;        // the input that an output overwrites
};

struct Call {
  std::string model, layer;  // layer: conv2d, depthwise, linear, matmul or add
  std::string part;          // forward, dx, dw, dbias, dclamp or update
  std::string shape;         // 56x56x24->144:1x1s1, for example
  int times = 1;             // that the model has it
  Op op = Op::conv2d;
  std::shared_ptr<const void> attrs;
  std::vector<Operand> inputs, outputs;
  int64_t macs = 0;

  // Of the operands, each read or written once.
  int64_t bytes() const;
};

// The names of the models that there are shapes of.
std::vector<std::string> models();

// Of every layer: forward, both gradients, the gradient of the bias, of the clamp, and the update.
std::vector<Call> calls(const std::string& model, int batch);

}  // namespace attune::bench
