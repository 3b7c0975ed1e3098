#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "attune/dtype.h"
#include "attune/shape.h"
#include "graph/ir/attrs.h"
#include "graph/ir/data.h"
#include "graph/ir/perm.h"
#include "kernels/op.h"

// The compiler's intermediate form: plain structs in vectors, referred to by index. The order of
// `nodes` is the schedule.
namespace attune {

using ValueId = int32_t;
using NodeId = int32_t;
inline constexpr int32_t kNone = -1;

enum class Role : uint8_t {
  input,      // given by the caller before every run
  constant,   // known at compile time, never changes
  parameter,  // a float tensor of the model that may be trained; `data` is its trained-so-far value
  state,      // optimizer state, zero at the start
  statistic,  // of a batch norm: a float tensor of the model that running averages replace
  temporary,  // computed by a node
};

// Where a parameter came from, so that export and checkpoints can undo its layout: the model's
// tensor `tensor` of shape `model_shape`, viewed as `view_shape` (same elements), transposed so
// that our axis i is the view's axis perm[i].
struct Origin {
  std::string tensor;
  std::vector<int64_t> model_shape;
  Shape view_shape;
  std::array<int32_t, kMaxRank> perm = {0, 1, 2, 3, 4, 5};
};

std::vector<int64_t> to_dims(const Shape& shape);
// The contents of a parameter in the order of the model's tensor.
DataPtr in_model_order(const Data& data, const Origin& origin);

struct Value {
  std::string name;  // unique in the graph; the ONNX name where there is one
  DType dtype = DType::f32;
  Shape shape = {};
  Role role = Role::temporary;
  DataPtr data = {};   // constant; parameter, statistic: reals where `dtype` is real, else integers
  Origin origin = {};  // parameter; statistic, and a constant that can become one
  double momentum = 0;      // of those: how much a batch leaves of it
  bool trained = false;     // parameter: the scheme trains it, or a slice of it; any statistic
  bool fresh = false;       // parameter: of a head that the model does not have
  NodeId producer = kNone;  // valid after Graph::index()
  // The output of an in-place update: a new value in the memory of this old one.
  ValueId updates = kNone;
  // A temporary inside the memory of another value of its type, `lies_at` elements from its start:
  // rows of an image, or of a buffer that rolls over it. It may reach beyond that value's end. A
  // slice or concat whose operands lie where it would copy them costs nothing (is_view). Rows of a
  // parameter or of optimizer state are such slices, and updates of them update that.
  ValueId lies_in = kNone;
  int64_t lies_at = 0;
  // A slice of an input, in nodes that are repeated (Graph::repeat): elements further on each time.
  int64_t advance = 0;
  // NHWC counterpart of an ONNX tensor: this value, axes permuted by `model_perm` (our axis i is
  // the model's axis model_perm[i]), is the model's tensor `model_tensor`. For verification only.
  std::string model_tensor = {};
  std::array<int32_t, kMaxRank> model_perm = {0, 1, 2, 3, 4, 5};

  int64_t bytes() const {
    return static_cast<int64_t>(dtype_bytes(dtype, static_cast<size_t>(shape.elements())));
  }
};

struct Node {
  Op op = Op::reshape;
  AnyAttrs attrs;
  std::vector<ValueId> inputs;   // kNone where an optional input is absent
  std::vector<ValueId> outputs;  // kNone where an optional output is not wanted
  std::string name;              // the ONNX node's name, or one derived from it

  template <class A>
  const A& as() const {
    return std::get<A>(attrs);
  }
  ValueId input(int i) const { return i < static_cast<int>(inputs.size()) ? inputs[i] : kNone; }
  ValueId output(int i) const { return i < static_cast<int>(outputs.size()) ? outputs[i] : kNone; }
};

// A value that the caller sees under a name of the plan: "x", "labels", "weights", "learning_rate",
// "step"; "loss", "correct", "output".
struct Port {
  std::string name;
  ValueId value = kNone;
};

// Nodes begin .. end - 1 run `count` times, all of them before they run again. The second value of
// a pair is the first one of the next repetition, in whose memory it lies.
struct Repeat {
  NodeId begin = 0, end = 0;
  int32_t count = 1;
  std::vector<std::pair<ValueId, ValueId>> carried;

  bool contains(NodeId node) const { return begin <= node && node < end; }
  int32_t runs_of(NodeId node) const { return contains(node) ? count : 1; }
};

class Graph {
 public:
  DType real = DType::f32;  // f32, or f64 for exact comparisons
  std::vector<Value> values;
  std::vector<Node> nodes;
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  Repeat repeat;  // once optimised: passes know nothing of it

  Value& value(ValueId id) { return values[id]; }
  const Value& value(ValueId id) const { return values[id]; }
  const Shape& shape(ValueId id) const { return values[id].shape; }

  // Adds a value; makes its name unique by a suffix where it is taken or empty.
  ValueId add_value(Value value);
  ValueId add_known(std::string name, DType dtype, Shape shape, DataPtr data);  // a constant
  ValueId add_constant(std::string name, Shape shape, std::vector<double> reals);
  ValueId add_index_constant(std::string name, std::vector<int64_t> ints);  // i32, rank 1
  ValueId add_input(std::string port, DType dtype, Shape shape);
  // Gives a value another name, made unique as by add_value.
  void rename(ValueId id, const std::string& name);

  // Makes a node and its first `outputs` outputs, shapes inferred, without placing it in the
  // schedule. `shape` is the wanted output shape for operators that have a choice (reshape,
  // broadcast_to, slice). Throws Error where the inputs do not fit.
  Node make(Op op, AnyAttrs attrs, std::vector<ValueId> inputs, std::string name,
            const Shape* shape = nullptr, int outputs = 1);
  // make, appended to the schedule. Returns output 0.
  ValueId emit(Op op, AnyAttrs attrs, std::vector<ValueId> inputs, std::string name,
               const Shape* shape = nullptr);

  // x in another shape, or with its axes transposed: a node, unless x is that already.
  ValueId reshape(ValueId x, const Shape& shape, std::string name);
  ValueId transpose(ValueId x, const Perm& perm, std::string name);

  // Creates output `index` of a node (mask, argmax, probabilities) if nobody did yet.
  ValueId want_output(Node& node, int index);

  // Sets every value's producer.
  void index();
  // Nodes that read each value (a node once for each use). Outputs of the graph are not readers.
  std::vector<std::vector<NodeId>> readers() const;
  bool is_output(ValueId id) const;
  // The value in whose memory this one lies: itself, if in no other's.
  ValueId root(ValueId id) const { return values[id].lies_in == kNone ? id : values[id].lies_in; }
  void replace_uses(ValueId from, ValueId to);  // in nodes and outputs

  // The value of a port, or kNone.
  ValueId input(std::string_view port) const;
  ValueId output(std::string_view port) const;

  // Ports, parameters and constants in use, and one line a node:
  // `%y f32[1,4,4,8] = conv2d(%x, %w) stride_h=2   # name`.
  std::string text() const;
  // Throws Error (a bug of ours) unless names are unique, every node's arity, order, attributes,
  // dtypes and shapes hold, known contents have the size of their shape, and nothing reads a value
  // after its update, and that what is repeated can be. Temporaries that no node makes any more are
  // fine as long as nothing reads them.
  void verify() const;

 private:
  std::string unique_name(const std::string& name);

  // Names of values[0 .. named_), and the last suffix tried for each base. `values` is public, so
  // both are hints that unique_name brings up to date; verify() has the last word.
  std::unordered_map<std::string, ValueId> names_;
  std::unordered_map<std::string, int> suffixes_;
  size_t named_ = 0;
};

}  // namespace attune
