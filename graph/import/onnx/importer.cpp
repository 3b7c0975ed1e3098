#include "graph/import/onnx/importer.h"

#include <onnx/onnx_pb.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/import/common/known_math.h"
#include "graph/import/onnx/custom.h"
#include "graph/import/onnx/file/onnx_tensor.h"
#include "graph/import/onnx/onnx_node.h"
#include "graph/ir/error.h"
#include "graph/ir/interpret.h"

namespace attune {
namespace {

constexpr int kOldestOpset = 7, kNewestOpset = 27;
constexpr size_t kMaxListed = 1000;

struct OnnxOp {
  const char* name;
  void (*import)(OnnxNode& n);
  bool computed = false;  // at import where all inputs are known
};
constexpr OnnxOp kOnnxOps[] = {
#define ONNX(name) {#name, import_##name},
#define ONNX_COMPUTED(name) {#name, import_##name, true},
#include "graph/import/onnx/onnx_ops.def"
#undef ONNX
};

struct FoundOp {
  OnnxImport import;  // empty where the operator is not known
  bool computed = false;
};
FoundOp find_op(const onnx::NodeProto& node) {
  if (!node.domain().empty() && node.domain() != "ai.onnx")
    return {custom_import(node.domain() + "." + node.op_type())};
  for (const OnnxOp& op : kOnnxOps)
    if (node.op_type() == op.name) return {op.import, op.computed};
  return {};
}

}  // namespace

Graph OnnxModel::import(const ImportOptions& options) const {
  return Importer(*this, options).run();
}

Importer::Importer(const OnnxModel& model, const ImportOptions& options)
    : model_(model), options_(options) {
  graph.real = options.real;
}

Graph Importer::run() {
  const auto& proto = model_.proto();
  for (const auto& entry : proto.opset_import())
    if (entry.domain().empty() || entry.domain() == "ai.onnx")
      opset = static_cast<int>(std::clamp<int64_t>(entry.version(), 0, 1 << 20));
  if (opset < kOldestOpset || opset > kNewestOpset)
    throw_error("{}: opset {} is too {}; export the model with an opset from {} to {}", path(),
                opset, opset < kOldestOpset ? "old" : "new", kOldestOpset, kNewestOpset);
  if (!is_real(options_.real)) throw_error("models are imported as f32 or f64");
  if (options_.batch < 0) throw_error("batch size {} is negative", options_.batch);
  nodes_ = inlined_nodes(model_);
  check_structure();
  read_initializers();
  add_inputs();
  import_nodes();
  add_outputs();
  graph.index();
  return std::move(graph);
}

// What the graphs within a node read.
void Importer::read_inner(const onnx::NodeProto& node) {
  for (const auto& attribute : node.attribute()) {
    if (!attribute.has_g()) continue;
    for (const auto& inner : attribute.g().node()) {
      read_.insert(inner.input().begin(), inner.input().end());
      read_inner(inner);
    }
    for (const auto& output : attribute.g().output()) read_.insert(output.name());
  }
}

// Every name is made once, and before it is read.
void Importer::check_structure() {
  const auto& proto = model_.proto().graph();
  std::unordered_set<std::string> made, later;
  const auto make = [&](const std::string& name, const std::string& by) {
    if (name.empty()) throw_error("{}: {} has no name", path(), by);
    if (!made.insert(name).second)
      throw_error("{}: tensor '{}' is made twice, the second time by {}", path(), name, by);
  };
  if (proto.sparse_initializer_size() > 0)
    throw_error("{}: sparse initializers are not supported", path());
  for (const auto& tensor : proto.initializer()) make(tensor.name(), "an initializer");
  std::unordered_set<std::string> inputs;
  for (const auto& input : proto.input()) {
    if (!inputs.insert(input.name()).second)
      throw_error("{}: two inputs named '{}'", path(), input.name());
    if (!made.contains(input.name())) make(input.name(), "an input");  // else: an old initializer
  }
  for (const auto& node : nodes_)
    for (const auto& output : node->output()) later.insert(output);
  for (const auto& each : nodes_) {
    const onnx::NodeProto& node = *each;
    read_inner(node);
    const std::string by =
        fmt::format("node '{}' ({})",
                    node.name().empty() && node.output_size() > 0 ? node.output(0) : node.name(),
                    node.op_type());
    for (const auto& input : node.input()) {
      if (input.empty()) continue;
      read_.insert(input);
      if (node.op_type() == "Sqrt") roots_.insert(input);
      if (made.contains(input)) continue;
      if (later.contains(input))
        throw_error(
            "{}: {} reads '{}' before it is made: the nodes are not sorted, or form a cycle",
            path(), by, input);
      throw_error("{}: {} reads '{}', which nothing makes", path(), by, input);
    }
    bool named = false;
    for (const auto& output : node.output()) {
      if (output.empty()) continue;
      make(output, by);
      makers_[output] = &node;
      named = true;
    }
    if (!named) throw_error("{}: {} has no output", path(), by);
  }
  if (proto.output_size() == 0) throw_error("{}: the model has no outputs", path());
  std::unordered_set<std::string> outputs;
  for (const auto& output : proto.output()) {
    if (!outputs.insert(output.name()).second)
      throw_error("{}: two outputs named '{}'", path(), output.name());
    if (!made.contains(output.name()))
      throw_error("{}: nothing makes output '{}'", path(), output.name());
    read_.insert(output.name());
  }
  for (const auto& name : made) tensors_[name];
}

Mark Importer::mark_of(const std::string& name) const {
  if (in_branch_) return Mark::buffer;
  const auto found = marks_.find(name);
  if (found != marks_.end()) return found->second;
  return marks_.empty() ? Mark::none : Mark::made;
}

int32_t Importer::next_seed() {
  return static_cast<int32_t>(options_.seed * 1'000'003 + static_cast<uint64_t>(++seeds_));
}

void Importer::read_initializers() {
  marks_ = read_marks(model_.proto().graph());
  for (const auto& proto : model_.proto().graph().initializer()) {
    if (!is_read(proto.name())) continue;
    KnownTensor tensor = read_tensor(
        proto, fmt::format("{}: initializer '{}'", path(), proto.name()), model_.shared());
    tensor.view = View{proto.name(), mark_of(proto.name()), tensor.dims, tensor.dims,
                       identity_perm(static_cast<int>(tensor.dims.size()))};
    tensors_.at(proto.name()).known = std::make_shared<const KnownTensor>(std::move(tensor));
  }
}

std::optional<std::string> Importer::import_node(const onnx::NodeProto& proto) {
  OnnxNode node(*this, proto);
  const bool reachable = std::none_of(
      proto.input().begin(), proto.input().end(),
      [&](const std::string& input) { return !input.empty() && tensors_.at(input).failed; });
  std::string reason;
  const FoundOp op = find_op(proto);
  if (!op.import) {
    const bool own = proto.domain().empty() || proto.domain() == "ai.onnx";
    reason = own ? "the operator is not supported"
                 : fmt::format("the operators of {} are not supported", proto.domain());
    for (const char* part : {"QLinear", "Integer"})
      if (proto.op_type().find(part) != std::string::npos)
        reason +=
            ": the model computes in integers; quantise it as QuantizeLinear and DequantizeLinear "
            "(QDQ), or give the one in floats that it was made from";
    if (proto.op_type().ends_with("Loss"))
      reason +=
          ": export the model without its loss, with the scores as its first output, and give "
          "--loss cross_entropy";
  } else if (reachable) {
    try {
      trains_ = false;
      if (op.computed && node.all_fixed())
        import_by_computing(node, op.import);
      else
        op.import(node);
      follow_inputs(proto);
      for (int i = 0; i < proto.output_size(); ++i) {
        const OnnxTensor* made = node.wants(i) ? &tensors_.at(proto.output(i)) : nullptr;
        if (made != nullptr && !made->known && made->value == kNone && !made->padding)
          throw_error("its output {} ('{}') is not supported", i, proto.output(i));
      }
      return std::nullopt;
    } catch (const Error& error) {
      reason = error.what();
    }
  }
  // Nodes after a failed one are looked up, but there is no shape to import them with.
  for (const auto& output : proto.output())
    if (!output.empty()) tensors_.at(output).failed = true;
  return reason;
}

void Importer::import_nodes() {
  std::vector<std::string> failures;
  std::string foreign;  // a domain of the user's own
  for (const auto& node : nodes_) {
    const auto reason = import_node(*node);
    if (reason && !reason->empty() && !node->domain().empty() && node->domain() != "ai.onnx")
      foreign = node->domain();
    if (reason && !reason->empty())
      failures.push_back(
          fmt::format("{} ({}): {}", OnnxNode(*this, *node).name(), node->op_type(), *reason));
  }
  if (failures.empty()) return;
  const size_t listed = std::min(failures.size(), kMaxListed);
  std::string text = fmt::format("{}: {} node{} cannot be imported:", path(), failures.size(),
                                 failures.size() == 1 ? "" : "s");
  for (size_t i = 0; i < listed; ++i) text += "\n  " + failures[i];
  if (failures.size() > listed) text += fmt::format("\n  and {} more", failures.size() - listed);
  if (!foreign.empty())
    text += fmt::format(
        "\nA program of your own may register operators of {}: see examples/custom_operator",
        foreign);
  if (replaced_batch_ > 0)
    text += fmt::format(
        "\nThe model was exported for batch size {} and is imported for {}, which nodes with fixed "
        "shapes do not follow; export it with a dynamic batch axis, or use batch size {}",
        replaced_batch_, options_.batch, replaced_batch_);
  throw Error(text);
}

// Runs what an operator becomes on the device, in a graph of its own and in double: its outputs are
// known, as its inputs are.
void Importer::import_by_computing(OnnxNode& node, const OnnxImport& import) {
  std::vector<std::pair<OnnxTensor*, OnnxTensor>> inputs;
  bool derived = false;
  for (const std::string& name : node.inputs()) {
    OnnxTensor& tensor = tensors_.at(name);
    inputs.emplace_back(&tensor, tensor);
    derived = derived || is_trainable(*tensor.known);
    tensor.value = tensor.real_value = tensor.places = kNone;
  }
  Graph own;
  own.real = DType::f64;
  std::swap(graph, own);
  const auto restore = [&] {
    std::swap(graph, own);
    // The first of a tensor that is read twice is as it was.
    for (auto at = inputs.rbegin(); at != inputs.rend(); ++at) *at->first = at->second;
  };
  try {
    import(node);
  } catch (...) {
    restore();
    throw;
  }
  restore();
  const std::vector<HostTensor> results = interpret(own, {});
  for (const std::string& name : node.outputs()) {
    OnnxTensor& tensor = tensors_.at(name);
    if (tensor.value == kNone || tensor.known != nullptr) continue;
    const std::vector<double> numbers = results[tensor.value].reals();
    const Dims dims = to_dims(own.shape(tensor.value));
    tensor.known =
        std::make_shared<const KnownTensor>(computed(tensor.type, dims, numbers, derived));
    tensor.value = kNone;
  }
}

// What constants alone make of the model's inputs is prepared, as these are.
void Importer::follow_inputs(const onnx::NodeProto& proto) {
  static const std::unordered_set<std::string> kScale = {"Add", "Sub", "Mul", "Div", "Neg"};
  static const std::unordered_set<std::string> kArrange = {
      "Cast",   "Identity", "Reshape", "Flatten", "Squeeze",  "Unsqueeze",
      "Concat", "Slice",    "Split",   "Gather",  "Transpose"};
  const bool scales = kScale.contains(proto.op_type());
  if (trains_ || (!scales && !kArrange.contains(proto.op_type()))) return;
  Prepared prepared = Prepared::no;
  for (const auto& input : proto.input()) {
    if (input.empty() || tensors_.at(input).known != nullptr) continue;
    if (tensors_.at(input).prepared == Prepared::no) return;
    prepared = scales ? Prepared::scaled : std::max(prepared, tensors_.at(input).prepared);
  }
  for (const auto& output : proto.output())
    if (!output.empty()) tensors_.at(output).prepared = prepared;
}

void Importer::add_outputs() {
  for (const auto& output : model_.proto().graph().output()) {
    try {
      graph.outputs.push_back({output.name(), examples_first(output, value(output.name()))});
    } catch (const Error& error) {
      throw_error("{}: output '{}': {}", path(), output.name(), error.what());
    }
  }
}

ValueId Importer::value(const std::string& name) {
  OnnxTensor& tensor = tensors_.at(name);
  if (tensor.value != kNone) return tensor.value;
  if (tensor.padding != nullptr) return tensor.value = emit_padding(*tensor.padding, name);
  if (tensor.known == nullptr) throw_error("tensor '{}' is not available", name);
  const Dims& dims = tensor.known->dims;
  return tensor.value =
             constant(*tensor.known, name, dims, identity_perm(static_cast<int>(dims.size())));
}

ValueId Importer::real_value(const std::string& name) {
  OnnxTensor& tensor = tensors_.at(name);
  if (tensor.real_value != kNone) return tensor.real_value;
  if (tensor.known != nullptr && !tensor.known->real()) {
    const KnownTensor reals = cast(*tensor.known, ElementType::f64);
    const Perm straight = identity_perm(static_cast<int>(reals.dims.size()));
    return tensor.real_value = constant(reals, name, reals.dims, straight);
  }
  return tensor.real_value = emit_real(value(name), name);
}

// An image of bytes keeps its examples apart.
ValueId Importer::emit_real(ValueId x, const std::string& name) {
  const Shape shape = graph.shape(x);
  switch (graph.value(x).dtype) {
    case DType::i32:
      return graph.emit(Op::to_real, NoAttrs{}, {x}, name + "/real");
    case DType::u8: {
      const int32_t examples = shape.rank > 0 ? shape[0] : 1;
      const auto rest = static_cast<int32_t>(shape.elements() / examples);
      const ValueId image = graph.reshape(x, {examples, rest, 1, 1}, name + "/bytes");
      const ValueId one = graph.add_constant(name + "/scale", {1}, {1});
      const ValueId zero = graph.add_constant(name + "/offset", {1}, {0});
      const ValueId y =
          graph.emit(Op::normalize, NoAttrs{}, {image, one, zero}, name + "/normalize");
      return graph.reshape(y, shape, name + "/real");
    }
    default:
      return x;
  }
}

ValueId Importer::places(const std::string& name) {
  OnnxTensor& tensor = tensors_.at(name);
  if (tensor.places != kNone) return tensor.places;
  if (is_real(tensor.known != nullptr ? tensor.known->type : tensor.type))
    throw_error("'{}' is of floats, not of integers", name);
  if (tensor.known != nullptr) {
    const KnownTensor ints = cast(*tensor.known, ElementType::i64);
    const Perm straight = identity_perm(static_cast<int>(ints.dims.size()));
    return tensor.places = constant(ints, name, ints.dims, straight);
  }
  const ValueId x = value(name);
  if (graph.value(x).dtype == DType::i32) return tensor.places = x;
  const std::string converted = name + "/places";
  return tensor.places = graph.emit(Op::to_places, NoAttrs{}, {real_value(name)}, converted);
}

namespace {

// Counts the steps of a recursion that a model's nodes lead.
struct Step {
  explicit Step(int* depth) : depth(depth) { ++*depth; }
  ~Step() { --*depth; }
  int* depth;
};
constexpr int kMaxSteps = 200;

struct NotDerived : Error {
  using Error::Error;
};

}  // namespace

bool Importer::trains(const std::string& name) {
  const KnownPtr known = tensors_.at(name).known;
  if (known == nullptr || !known->real()) return false;
  // A number of which nothing says that it is trained makes masks, or steps around zero.
  if (known->view)
    return is_parameter(*known, Use::operand) &&
           (known->elements() > 1 || known->view->mark == Mark::parameter);
  const auto maker = makers_.find(name);
  if (!known->derived || maker == makers_.end()) return false;
  if (const auto asked = derivable_.find(name); asked != derivable_.end()) return asked->second;
  if (depth_ > kMaxSteps) return false;
  const Step step(&depth_);
  const auto& inputs = maker->second->input();
  return derivable_[name] =
             std::any_of(inputs.begin(), inputs.end(),
                         [&](const std::string& input) { return !input.empty() && trains(input); });
}

ValueId Importer::derive(const std::string& name) {
  const KnownPtr known = tensors_.at(name).known;
  if (known->view) {
    const Dims dims = known->dims.empty() ? Dims{1} : known->dims;
    return parameter(*known, dims, identity_perm(static_cast<int>(dims.size())));
  }
  if (const auto made = derived_.find(name); made != derived_.end()) return made->second;
  const Step step(&depth_);
  const onnx::NodeProto& proto = *makers_.at(name);
  OnnxNode node(*this, proto, true);
  const auto fail = [&](const std::string& why) {
    throw NotDerived(
        fmt::format("'{}' is computed from parameters by {} ({}): {}; export the model with "
                    "constants folded",
                    name, node.name(), proto.op_type(), why));
  };
  if (depth_ > kMaxSteps) fail("too many nodes, one after the other");
  try {
    find_op(proto).import(node);
  } catch (const NotDerived&) {  // by a node before
    throw;
  } catch (const Error& error) {
    fail(error.what());
  }
  const auto made = derived_.find(name);
  if (made == derived_.end()) fail("it has no gradient");
  return made->second;
}

ValueId Importer::pad_axis(ValueId x, int axis, int64_t before, int64_t after, double value,
                           const std::string& name) {
  const auto part = [&](int64_t size) {
    Dims dims = to_dims(graph.shape(x));
    dims[axis] = size;
    const Shape shape = to_shape(dims);
    if (shape.elements() > kMaxComputedElements) throw_error("padding {} is too large", size);
    return graph.add_constant(name + "/padding", shape,
                              std::vector<double>(shape.elements(), value));
  };
  std::vector<ValueId> parts;
  if (before > 0) parts.push_back(part(before));
  parts.push_back(x);
  if (after > 0) parts.push_back(part(after));
  if (parts.size() == 1) return x;
  return graph.emit(Op::concat, AxisAttrs{axis}, parts, name + "/pad");
}

ValueId Importer::emit_padding(const Padding& padding, const std::string& name) {
  ValueId x = padding.x;
  for (int axis = 0; axis < graph.shape(x).rank; ++axis)
    x = pad_axis(x, axis, padding.before[axis], padding.after[axis], padding.value, name);
  if (graph.value(x).model_tensor.empty()) {
    graph.value(x).model_tensor = name;
    graph.rename(x, name);
  }
  return x;
}

ValueId Importer::constant(const KnownTensor& tensor, const std::string& name, const Dims& view,
                           const Perm& perm) {
  if (count_elements(view) != tensor.elements())
    throw_error("'{}' of shape {} is no {}", name, dims_text(tensor.dims), dims_text(view));
  const Shape shape = to_shape(permuted(view, perm));
  DType dtype = graph.real;
  if (!tensor.real()) {
    dtype = tensor.type == ElementType::u8 ? DType::u8 : DType::i32;
    for (int64_t v : tensor.data->ints())
      if (v != std::clamp<int64_t>(v, std::numeric_limits<int32_t>::min(),
                                   std::numeric_limits<int32_t>::max()))
        throw_error("'{}' contains {}, which 32 bits do not hold", name, v);
  }
  return graph.add_known(name, dtype, shape, tensor.data->permuted(view, perm));
}

ValueId Importer::parameter(const KnownTensor& tensor, const Dims& view, const Perm& perm) {
  const View& own = *tensor.view;
  trains_ = true;
  if (count_elements(view) != tensor.elements())
    throw_error("'{}' of shape {} is no {}", own.tensor, dims_text(tensor.dims), dims_text(view));
  const std::string name = own.tensor + "/layout";
  const bool straight = is_identity(own.perm);
  if (!straight && view != tensor.dims) {
    const ValueId whole =
        parameter(tensor, tensor.dims, identity_perm(static_cast<int>(tensor.dims.size())));
    return graph.transpose(graph.reshape(whole, to_shape(view), name), perm, name);
  }
  // Nothing is reshaped between the initializer's own transpose and this one: they are one.
  const Dims& from = straight ? view : own.view_shape;
  const Perm order = straight ? perm : compose(own.perm, perm);
  auto& layouts = parameters_[own.tensor];
  for (const Layout& layout : layouts)
    if (layout.view == from && layout.perm == order) return layout.value;
  if (!layouts.empty()) {
    // Undo the first layout, then make this one.
    const Layout& first = layouts.front();
    const ValueId plain = graph.transpose(first.value, inverse(first.perm), name);
    const ValueId value = graph.transpose(graph.reshape(plain, to_shape(from), name), order, name);
    layouts.push_back({from, order, value});
    return value;
  }
  tensor.data->each_block([&](size_t, std::span<const double> block) {
    for (const double x : block)
      if (!std::isfinite(x))
        throw_error(
            "{}: weight '{}' holds {}, and nothing can be computed with it; export the model "
            "again",
            path(), own.tensor, x);
  });
  Value value{.name = own.tensor,
              .dtype = options_.real,
              .shape = to_shape(permuted(view, perm)),
              .role = Role::parameter,
              .data = tensor.data->permuted(view, perm),
              .origin = {own.tensor, own.model_shape, to_shape(from)}};
  std::copy(order.begin(), order.end(), value.origin.perm.begin());
  layouts.push_back({from, order, graph.add_value(std::move(value))});
  return layouts.front().value;
}

}  // namespace attune
