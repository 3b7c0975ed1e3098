#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "graph/import/tflite/translator.h"
#include "graph/ir/error.h"

namespace attune {

// An attribute of an ONNX node.
struct Attribute {
  const char* name;
  std::variant<int64_t, Dims, double, const char*> value;
};

void set_attribute(onnx::NodeProto& node, const Attribute& attribute);

// What an operator's translation sees of its node. Axes and shapes are TFLite's, of one example
// (`dims`); values of ONNX have the batch in front of a *form*, the shape that is left to an
// example: that of `example`, unless an operator asks for another.
class TfliteNode {
 public:
  TfliteNode(Translator& translator, const tflite::Operator& op)
      : translator_(translator), op_(op) {}

  // Reads constants among the inputs. False where an input could not be computed.
  bool read_inputs();

  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw_error(format, std::forward<Args>(args)...);
  }
  const tflite::Operator& op() const { return op_; }
  // The operator's options, refused where they are missing: options(op.builtin_options_as_X()).
  template <class T>
  const T& options(const T* given) const {
    if (given == nullptr) fail("it has no options");
    return *given;
  }

  int input_count() const;
  int output_count() const;
  bool has(int input) const;
  TfliteTensor& input(int i) const;
  TfliteTensor& output(int i) const;
  const Dims& dims(int i) const { return input(i).dims; }
  int rank(int i) const { return static_cast<int>(dims(i).size()); }
  int axis(int64_t given, int rank) const;  // counted from the end where negative
  ElementType output_type(int i) const;
  bool is_known(int i) const { return input(i).known != nullptr; }
  bool all_known() const;
  // Contents, which must be known.
  const KnownTensor& known(int i, const char* what) const;
  Dims ints(int i, const char* what) const;
  // One number that is no weight: a scalar of TFLite.
  bool is_number(int i) const;

  // The input as a value [N] + form. Of a constant: an initializer of its own shape.
  std::string value(int i, const Dims& form) const;
  std::string value(int i) const { return value(i, example(dims(i))); }
  // The input as a value that broadcasts to [N] + example(to), or [N] + to where it is `whole`.
  std::string operand(int i, const Dims& to, bool whole) const;
  std::string operand(int i, const Dims& to) const {
    return operand(i, to, to.empty() || to[0] != 1);
  }
  // The same of that very shape: constants are repeated for each example.
  std::string repeated(int i, const Dims& to, bool whole);
  // A constant's initializer, its axes permuted.
  std::string weight(int i, const Perm& perm) const;
  // An image [1,H,W,C] as the value [N,C,H,W].
  std::string image(int i) const;
  // Whether an input is there as an image alone, so that what is elementwise may stay with it.
  bool is_image(int i) const { return input(i).forms.empty() && !input(i).image.empty(); }

  std::string ints(const Dims& values) const { return translator_.ints(values); }
  std::string real(double value) const { return translator_.real(value); }

  // Adds a node, and returns what it computes.
  std::string emit(const char* type, const std::vector<std::string>& inputs,
                   const std::vector<Attribute>& attributes = {}) {
    return emit_many(type, inputs, attributes, 1)[0];
  }
  std::vector<std::string> emit_many(const char* type, const std::vector<std::string>& inputs,
                                     const std::vector<Attribute>& attributes, int outputs);
  // The value as [N] + form.
  std::string reshape(const std::string& value, const Dims& form);
  std::string activate(const std::string& value, tflite::Activation activation);

  // An output of shape `dims`, held by a value [N] + form.
  void set(int i, const std::string& value, const Dims& dims, const Dims& form);
  void set(int i, const std::string& value, const Dims& dims) {
    set(i, value, dims, example(dims));
  }
  void set_image(int i, const std::string& value, const Dims& dims);
  void set_known(int i, KnownTensor known);
  // The output is the input, in another shape of as many elements.
  void alias(int i, int input, const Dims& dims);

  // A tensor that is computed, as a value [N] + form.
  static std::string value_of(Translator& translator, int32_t index, const Dims& form);

 private:
  int32_t index(int i) const { return op_.inputs()->Get(static_cast<uint32_t>(i)); }
  TfliteTensor& new_output(int i, const Dims& dims);
  // Names the last node's value after the tensor, where nothing else has that name.
  std::string named(const std::string& value, const std::string& name);

  Translator& translator_;
  const tflite::Operator& op_;
  std::string last_;  // what the last `emit` returned
  onnx::NodeProto* last_node_ = nullptr;
};

#define TFLITE(name) void translate_##name(TfliteNode& n);
#include "graph/import/tflite/tflite_ops.def"

}  // namespace attune
