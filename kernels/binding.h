#pragma once

#include <span>

#include "attune/tensor.h"
#include "kernels/axis_facts.h"
#include "kernels/signature.h"

namespace attune {

// What each axis of an operand is: a term of the signature and, of free axes, which of them.
struct OperandAxes {
  struct Axis {
    SignatureAxis term;
    int8_t block, from_last;  // of free axes: which block, and the place in it from its last axis
  };
  int rank = -1;  // -1: the operand cannot have that many axes
  int blocks = 0, lengths[2] = {};
  Axis axes[kMaxRank];
};
// `k`: the operand's number, if it is an input.
OperandAxes operand_axes(const SignatureOperand& operand, int k, int rank, const AxisFacts& facts);

// How many windows an image has. Null, or what is wrong.
const char* count_windows(const AxisFacts::Window& window, int32_t image, int32_t kernel,
                          int32_t* count);

// The inputs and attributes of a call, held against the signature of its operator: one name is one
// size. The types and shapes of the outputs follow. What kernels rely on is checked here: when the
// compiler makes a node, and when a device loads a plan.
class Binding {
 public:
  // Absent inputs have null data, present ones any other, which is not read. `real`: the type that
  // the operator computes in.
  Binding(Op op, const void* attrs, std::span<const Tensor> inputs, DType real);

  // Null, or what is wrong. `wanted`: the shape of output 0, or null; used only where inputs and
  // attributes leave a choice.
  const char* bind(const Shape* wanted);

  // Where `bind` found something wrong. Operands are numbered inputs first, then outputs.
  int operand = -1;     // -1: the attributes
  int axis = -1;        // of the operand; -1: it has the wrong type or the wrong number of axes
  int image = kNoName;  // the name of the axis (H, W) whose windows do not fit

  // ---- What is bound ----------------------------------------------------------------------------
  // A sum is only made of what a mask lets through.
  bool may_have(int output) const;
  DType type_of(int k) const;
  bool type_fits(int k, DType dtype) const;
  bool shape_fits(int k, Shape shape);  // sets `axis`

  // Of a name, its windows, or a term that is no free axis: the size, or -1.
  int32_t size(int name) const { return sizes_[real_name(name)]; }
  int32_t windows(int name) const { return windows_[name]; }
  int32_t size_of(const SignatureAxis& term) const;
  // The number of free axes in a block, or -1.
  int rest_rank(int block) const { return rests_[block].known ? rests_[block].rank : -1; }
  int32_t rest_size(int block, int from_last) const { return rests_[block].sizes[from_last]; }
  // The name that this one stands for: another where places on an axis are absent, which are all.
  int real_name(int name) const { return name == alias_ ? aliased_ : name; }
  const Shape& own_shape() const { return own_; }  // of output 0, where signatures say nothing
  const AxisFacts& facts() const { return facts_; }

 private:
  struct Rest {
    bool known = false;
    int rank = 0;
    int32_t sizes[kMaxRank] = {1, 1, 1, 1, 1, 1};  // from the last
  };

  int inputs() const { return static_cast<int>(inputs_.size()); }
  bool present(int i) const { return i < inputs() && inputs_[static_cast<size_t>(i)].data; }
  const Shape& shape(int i) const { return inputs_[static_cast<size_t>(i)].shape; }
  const SignatureOperand& written(int k) const {
    return k < inputs() ? row_.input(k) : row_.output(k - inputs());
  }
  const char* refuse(int k, const char* what);
  bool learn(int k, Shape shape);
  bool leaves_open(const SignatureOperand& written) const;
  const char* bind_windows();
  const char* bind_recurrent();
  const char* bind_own(const Shape* wanted);

  const Signature& row_;
  const AxisFacts facts_;
  const std::span<const Tensor> inputs_;
  const DType real_;
  int alias_ = kNoName, aliased_ = kNoName;
  int32_t sizes_[kMaxNames], windows_[kMaxNames];  // by name, or -1
  Rest rests_[2];
  Shape own_;  // output 0 of a row of any shape
};

}  // namespace attune
