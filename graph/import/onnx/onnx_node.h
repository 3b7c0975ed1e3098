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
  // `derives`: its inputs count as known only where they do not train (Importer::derive).
  OnnxNode(Importer& importer, const onnx::NodeProto& proto, bool derives = false);

  // That of the first output where there is none. Behind the module that the node is of, where the
  // file says so apart: "/encoder.layer.0/node_MatMul_36".
  const std::string& name() const { return name_; }
  std::vector<std::string> inputs() const;           // the names of those there are
  std::vector<std::string> outputs() const;
  int opset() const { return importer_.opset; }
  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw_error(format, std::forward<Args>(args)...);
  }

  // Attributes, or their default. Floats by their shortest decimal.
  bool has_attribute(const char* name) const { return find(name) != nullptr; }
  int64_t integer(const char* name, int64_t otherwise) const;
  double real(const char* name, double otherwise) const;
  double number(const char* name, double otherwise) const;  // a float or an integer
  std::string text(const char* name, const char* otherwise) const;
  Dims ints(const char* name, const Dims& otherwise = {}) const;
  std::vector<double> reals(const char* name) const;
  std::vector<std::string> texts(const char* name) const;
  std::optional<KnownTensor> tensor(const char* name) const;

  int input_count() const;
  bool has(int input) const;  // optional ones may be absent, or empty names
  // The sizes of an input.
  Dims dims(int input) const;
  ElementType type(int input) const;  // ONNX's own
  bool is_real(int input) const { return attune::is_real(type(input)); }
  int rank(int input) const { return static_cast<int>(dims(input).size()); }

  // Known contents.
  bool is_known(int input) const;
  bool all_known() const;  // every input there is
  // And none that the exporter says is a parameter: those stay to be trained.
  bool all_fixed() const;
  const KnownTensor& known(int input, const char* what) const;
  Dims known_ints(int input, const char* what) const;  // rank 0 or 1
  double known_scalar(int input, const char* what) const;
  // Attribute `name` up to some opset, input `input` after it. Empty where both are absent.
  std::optional<Dims> ints_of(const char* name, int input) const;

  // Values of the graph. `value` and `operand` are real: of a known tensor a parameter where it is
  // one for this use, or what is computed from one, of one axis at least; else a constant. To
  // `value`, a number is none unless the file says so. `places` is i32 and for ids; `stored` is
  // what there is, for operators that take any type.
  ValueId value(int input) const;
  ValueId places(int input) const;
  ValueId stored(int input) const;
  ValueId operand(int input, Use use = Use::operand) const;
  // Whether a known tensor does not become a constant.
  bool trains(int input, Use use) const;
  // Constants of this node's own: reals, and places on an axis for select and its like.
  ValueId constant(const Dims& dims, std::vector<double> reals, const char* suffix) const;
  ValueId place_list(Dims places, const char* suffix) const;
  // How a node of two operands uses one of them.
  Use use_of(int input, Op op) const;
  // A float tensor that this operator trains, seen as `view` and transposed: a parameter, or a
  // constant if it is a buffer, or computed.
  ValueId weight(int input, const Dims& view, const Perm& perm, const char* what) const;
  ValueId vector_weight(int input, int64_t size, const char* what) const;
  // The same as a constant, of a batch norm of this momentum.
  ValueId statistic(int input, int64_t size, const char* what, double momentum) const;
  // A vector of the places on an axis of `size` that a known input counts, from the end where
  // negative.
  ValueId index_constant(int input, int64_t size) const;
  // The padding of an input that no node was emitted for yet, or null.
  std::shared_ptr<const Padding> padding(int input) const;

  // Emits a node named after this one: "conv1" or, with a suffix, "conv1/to_nhwc".
  ValueId emit(Op op, AnyAttrs attrs, std::vector<ValueId> inputs, const char* suffix = nullptr,
               const Shape* shape = nullptr) const;
  ValueId also(int output) const;  // another output of the node that was emitted last
  ValueId reshape(ValueId x, const Dims& dims, const char* suffix = "reshape") const;
  ValueId number(double x) const;  // a constant without axes
  // Of random numbers: the step that they are drawn at, and this node's own seed.
  ValueId first_step() const;
  int32_t seed() const;
  // Whether dropout is part of training, and whether this graph is that of training.
  bool may_drop() const;
  bool drops() const;
  ValueId transpose(ValueId x, const Perm& perm, const char* suffix) const;
  ValueId to_channels_last(ValueId x) const;  // [N,C,..] -> [N,..,C]
  // `count` elements from `start` on along an axis: x where these are all.
  ValueId slice(ValueId x, int axis, int64_t start, int64_t count, const char* suffix) const;
  // x with `before` and `after` elements of `value` along an axis.
  ValueId pad(ValueId x, int axis, int64_t before, int64_t after, double value) const {
    return importer_.pad_axis(x, axis, before, after, value, name_);
  }
  const Shape& shape(ValueId id) const { return importer_.graph.shape(id); }
  Graph& graph() const { return importer_.graph; }
  std::string part_name(const char* suffix) const;  // "conv1/to_nhwc"

  int output_count() const;
  // Whether anybody reads an output.
  bool wants(int output) const;
  // Fails where an output from `first` on is read.
  void refuse_outputs(int first) const;
  // Of the type of input 0, or of one that is given.
  void set(int output, ValueId value) const;
  void set(int output, ValueId value, ElementType type) const;
  // `value` [N,..,C] is the output [N,C,..]: adds the transpose.
  void set_channels_last(int output, ValueId value) const;
  void set(int output, KnownTensor known) const;
  void set_model_tensor(KnownTensor known) const;  // output 0 is a tensor of the model as such
  // Output is the quantised form of a real value (or of an input that is known); a
  // DequantizeLinear of it, with the same scale, takes that instead and returns true.
  void set_unquantized(int output, ValueId value) const;
  void set_unquantized_input(int output, int input) const;
  bool take_unquantized(int output, int input) const;
  void set_padded(int output, Padding padding) const;
  // The nodes of the graph in an attribute make the outputs.
  void import_branch(const char* name) const;
  void alias(int output, int input) const;  // the same tensor under another name

 private:
  const onnx::AttributeProto* find(const char* name) const;
  const std::string& input_name(int input) const;
  OnnxTensor& input_tensor(int input) const;
  OnnxTensor& output_tensor(int output) const;
  ValueId derived(int input, Use use) const;
  OnnxTensor& typed_output(int output) const;  // of the type of input 0
  std::string scale_name() const;
  bool same_scale(const std::string& a, const std::string& b) const;

  Importer& importer_;
  const onnx::NodeProto& proto_;
  const bool derives_;
  std::string name_;
};

// Axis counted from the end where negative. Throws Error outside -rank .. rank - 1.
int normal_axis(int64_t axis, int rank);

// The operators, each with its importer function in a file of this folder.
#define ONNX(name) void import_##name(OnnxNode& n);
#include "graph/import/onnx/onnx_ops.def"
#undef ONNX

}  // namespace attune
