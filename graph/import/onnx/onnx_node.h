#pragma once

#include <optional>
#include <string>
#include <vector>

#include "graph/import/common/parameters.h"
#include "graph/import/onnx/importer.h"
#include "graph/ir/error.h"

namespace onnx {
class AttributeProto;
class NodeProto;
}  // namespace onnx

namespace attune {

// One ONNX node while it is imported: what an importer function (`import_Conv`) reads and emits.
// All functions throw Error where something does not fit; import adds the node's name and operator,
// and goes on with the next node to find all that is unsupported.
class OnnxNode {
 public:
  OnnxNode(Importer& importer, const onnx::NodeProto& proto);

  // That of the first output where there is none. Behind the module that the node is of, where the
  // file says so apart: "/encoder.layer.0/node_MatMul_36".
  const std::string& name() const { return name_; }
  int opset() const { return importer_.opset; }
  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw_error(format, std::forward<Args>(args)...);
  }

  // Attributes, or their default. Floats by their shortest decimal.
  bool has_attribute(const char* name) const { return find(name) != nullptr; }
  int64_t integer(const char* name, int64_t otherwise) const;
  double real(const char* name, double otherwise) const;
  std::string text(const char* name, const char* otherwise) const;
  Dims ints(const char* name, const Dims& otherwise = {}) const;
  std::vector<double> reals(const char* name) const;
  std::optional<KnownTensor> tensor(const char* name) const;

  int input_count() const;
  bool has(int input) const;  // optional ones may be absent, or empty names
  // The sizes of an input.
  Dims dims(int input) const;
  DType dtype(int input) const;  // of an input that is not known
  int rank(int input) const { return static_cast<int>(dims(input).size()); }

  // Known contents.
  bool is_known(int input) const;
  bool all_known() const;  // every input there is
  const KnownTensor& known(int input, const char* what) const;
  Dims known_ints(int input, const char* what) const;  // rank 0 or 1
  double known_scalar(int input, const char* what) const;
  // Attribute `name` up to some opset, input `input` after it. Empty where both are absent.
  std::optional<Dims> ints_of(const char* name, int input) const;

  // Values of the graph. `value` makes a constant of a known tensor; `operand` a parameter where it
  // is one for this use, of one axis at least.
  ValueId value(int input) const;
  ValueId operand(int input, Use use = Use::operand) const;
  // How a node of two operands uses one of them.
  Use use_of(int input, Op op) const;
  // A float tensor that this operator trains, seen as `view` and transposed. It must be known, and
  // a tensor of the model as such, not computed from one. A buffer becomes a constant.
  ValueId weight(int input, const Dims& view, const Perm& perm, const char* what) const;
  ValueId vector_weight(int input, int64_t size, const char* what) const;
  // The same as a constant, of a batch norm of this momentum.
  ValueId statistic(int input, int64_t size, const char* what, double momentum) const;
  // The padding of an input that no node was emitted for yet, or null.
  std::shared_ptr<const Padding> padding(int input) const;

  // Emits a node named after this one: "conv1" or, with a suffix, "conv1/to_nhwc".
  ValueId emit(Op op, AnyAttrs attrs, std::vector<ValueId> inputs, const char* suffix = nullptr,
               const Shape* shape = nullptr) const;
  ValueId reshape(ValueId x, const Dims& dims, const char* suffix = "reshape") const;
  ValueId transpose(ValueId x, const Perm& perm, const char* suffix) const;
  ValueId to_channels_last(ValueId x) const;  // [N,C,..] -> [N,..,C]
  // `count` elements from `start` on along an axis: x where these are all.
  ValueId slice(ValueId x, int axis, int64_t start, int64_t count, const char* suffix) const;
  const Shape& shape(ValueId id) const { return importer_.graph.shape(id); }

  int output_count() const;
  // Whether anybody reads an output.
  bool wants(int output) const;
  // Fails where an output from `first` on is read.
  void refuse_outputs(int first) const;
  void set(int output, ValueId value) const;
  // `value` [N,..,C] is the output [N,C,..]: adds the transpose.
  void set_channels_last(int output, ValueId value) const;
  void set(int output, KnownTensor known) const;
  void set_model_tensor(KnownTensor known) const;  // output 0 is a tensor of the model as such
  void set_padded(int output, Padding padding) const;
  void alias(int output, int input) const;  // the same tensor under another name

 private:
  const onnx::AttributeProto* find(const char* name) const;
  const std::string& input_name(int input) const;
  OnnxTensor& input_tensor(int input) const;
  OnnxTensor& output_tensor(int output) const;
  std::string part_name(const char* suffix) const;

  Importer& importer_;
  const onnx::NodeProto& proto_;
  std::string name_;
};

// Axis counted from the end where negative. Throws Error outside -rank .. rank - 1.
int normal_axis(int64_t axis, int rank);

// The operators, each with its importer function in a file of this folder.
#define ONNX(name) void import_##name(OnnxNode& n);
#include "graph/import/onnx/onnx_ops.def"
#undef ONNX

}  // namespace attune
