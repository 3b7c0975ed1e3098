#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "graph/import/common/known_tensor.h"
#include "graph/import/onnx/custom.h"
#include "graph/import/onnx/file/functions.h"
#include "graph/import/onnx/file/onnx_model.h"

namespace onnx {
class GraphProto;
class NodeProto;
class ValueInfoProto;
}  // namespace onnx

namespace attune {

class OnnxNode;

// A tensor that is x with `value` around it; a convolution or pool may take the padding over.
struct Padding {
  ValueId x = kNone;
  std::vector<int64_t> before, after;  // by axis, none negative
  double value = 0;
};

// Whether a tensor is an input of the model, as it is given or moved and scaled by constants; and
// perhaps reshaped or cut.
enum class Prepared : uint8_t { no, as_given, scaled };

// What became of a tensor of the ONNX model. `known` and a value may both be there. What is
// computed is real, integers and booleans (0 and 1) too; ONNX's own type is kept beside it.
struct OnnxTensor {
  KnownPtr known;
  ElementType type = ElementType::f32;         // where it is not known
  ValueId value = kNone;                       // an input of integers may be i32 or u8
  ValueId real_value = kNone, places = kNone;  // that as reals, and as i32
  std::shared_ptr<const Padding> padding;      // not emitted yet, `value` is absent
  // Of integers that stand for reals: these, and the scale that makes the integers of them.
  std::shared_ptr<const OnnxTensor> unquantized;
  std::string scale;
  Prepared prepared = Prepared::no;
  bool failed = false;  // its node could not be imported
};

// The state of one import.
class Importer {
 public:
  Importer(const OnnxModel& model, const ImportOptions& options);
  Graph run();

  Graph graph;
  int opset = 0;
  const OnnxModel& model() const { return model_; }
  const std::string& path() const { return model_.path(); }
  const ImportOptions& options() const { return options_; }
  int32_t next_seed();  // of random numbers, another one each time
  OnnxTensor& tensor(const std::string& name) { return tensors_.at(name); }
  // Whether a node or the graph's outputs read a tensor.
  bool is_read(const std::string& name) const { return read_.contains(name); }
  // Whether a square root is taken of a tensor.
  bool feeds_root(const std::string& name) const { return roots_.contains(name); }
  // What the exporter says of a tensor that is known.
  Mark mark_of(const std::string& name) const;

  // Trainable: the initializer's elements (in the order of its `tensor.dims`) seen as `view`, then
  // transposed by `perm`. One value for every layout asked for; the second layout of an initializer
  // is computed from the first one.
  ValueId parameter(const KnownTensor& tensor, const Dims& view, const Perm& perm);
  // Not trainable, else alike.
  ValueId constant(const KnownTensor& tensor, const std::string& name, const Dims& view,
                   const Perm& perm);
  // The value of a tensor, of any type: emits its padding, or makes a constant of its contents.
  ValueId value(const std::string& name);
  // As reals, and as integers of 32 bits.
  ValueId real_value(const std::string& name);
  ValueId places(const std::string& name);
  // Whether a known tensor is a parameter, or nodes computed it from one.
  bool trains(const std::string& name);
  // A known tensor that trains, as a value that its nodes compute from parameters: so these are
  // trained through it.
  ValueId derive(const std::string& name);
  // What the node that derives a tensor made of it.
  void set_derived(const std::string& name, ValueId value) { derived_[name] = value; }
  ValueId emit_padding(const Padding& padding, const std::string& name);
  // Concatenates constants around x along an axis.
  ValueId pad_axis(ValueId x, int axis, int64_t before, int64_t after, double value,
                   const std::string& name);
  // Imports the nodes of a branch of a node, whose outputs become those of the node.
  void import_branch(const onnx::GraphProto& branch, const onnx::NodeProto& node);

 private:
  struct Layout {
    Dims view;
    Perm perm;
    ValueId value;
  };

  void check_structure();
  void read_initializers();
  void add_inputs();
  void add_input(int index);
  void read_inner(const onnx::NodeProto& node);
  // An input that the user binds: known from now on.
  void bind_input(const std::string& name, const BoundInput& given,
                  const onnx::ValueInfoProto& info);
  int batch_axis(const onnx::ValueInfoProto& info, int rank) const;
  // The output with its axis of examples in front, where the file or the user names that.
  ValueId examples_first(const onnx::ValueInfoProto& output, ValueId value);
  void check_bindings() const;
  void import_nodes();
  // Why a node cannot be imported; empty where that is because one before it could not be.
  std::optional<std::string> import_node(const onnx::NodeProto& node);
  void import_by_computing(OnnxNode& node, const OnnxImport& import);
  void follow_inputs(const onnx::NodeProto& proto);
  void add_outputs();
  ValueId emit_real(ValueId x, const std::string& name);

  const OnnxModel& model_;
  const ImportOptions& options_;
  NodeList nodes_;
  std::unordered_map<std::string, OnnxTensor> tensors_;
  std::unordered_set<std::string> read_, roots_;
  std::unordered_map<std::string, Mark> marks_;
  std::unordered_map<std::string, const onnx::NodeProto*> makers_;
  std::unordered_map<std::string, bool> derivable_;
  std::unordered_map<std::string, ValueId> derived_;
  int depth_ = 0;  // of nodes that are derived from others
  int32_t seeds_ = 0;
  bool in_branch_ = false;
  bool trains_ = false;  // the node that is imported reads a parameter
  std::unordered_map<std::string, std::vector<Layout>> parameters_;  // by initializer
  int64_t replaced_batch_ = 0;                   // a fixed size that `batch` replaced
  std::unordered_set<std::string> batch_names_;  // of inputs' axes of examples
};

}  // namespace attune
