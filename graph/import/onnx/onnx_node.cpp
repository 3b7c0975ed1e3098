#include "graph/import/onnx/onnx_node.h"

#include <onnx/onnx_pb.h>

#include <algorithm>

#include "graph/import/onnx/file/onnx_metadata.h"
#include "graph/import/onnx/file/onnx_tensor.h"

namespace attune {
namespace {

const onnx::AttributeProto* check_type(const onnx::AttributeProto* attribute,
                                       onnx::AttributeProto::AttributeType type) {
  // Models older than IR version 2 have no type.
  if (attribute != nullptr && attribute->has_type() && attribute->type() != type)
    throw_error("attribute {} has another type than it should", attribute->name());
  return attribute;
}

// [N,C,..] -> [N,..,C]
Perm channels_last(int rank) {
  Perm perm = identity_perm(rank);
  std::rotate(perm.begin() + 1, perm.begin() + 2, perm.end());
  return perm;
}

}  // namespace

int normal_axis(int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) throw_error("there is no axis {} in {} axes", axis, rank);
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

OnnxNode::OnnxNode(Importer& importer, const onnx::NodeProto& proto, bool derives)
    : importer_(importer), proto_(proto), derives_(derives), name_(proto.name()) {
  for (int i = 0; name_.empty() && i < proto.output_size(); ++i) name_ = proto.output(i);
  if (const std::string path = module_of(proto); !path.empty()) name_ = "/" + path + "/" + name_;
}

const onnx::AttributeProto* OnnxNode::find(const char* name) const {
  for (const auto& attribute : proto_.attribute())
    if (attribute.name() == name) return &attribute;
  return nullptr;
}

int64_t OnnxNode::integer(const char* name, int64_t otherwise) const {
  const auto* attribute = check_type(find(name), onnx::AttributeProto::INT);
  return attribute == nullptr ? otherwise : attribute->i();
}

double OnnxNode::real(const char* name, double otherwise) const {
  const auto* attribute = check_type(find(name), onnx::AttributeProto::FLOAT);
  return attribute == nullptr ? otherwise : shortest_decimal(attribute->f());
}

double OnnxNode::number(const char* name, double otherwise) const {
  const auto* attribute = find(name);
  const bool whole = attribute != nullptr && attribute->type() == onnx::AttributeProto::INT;
  return whole ? static_cast<double>(attribute->i()) : real(name, otherwise);
}

std::string OnnxNode::text(const char* name, const char* otherwise) const {
  const auto* attribute = check_type(find(name), onnx::AttributeProto::STRING);
  return attribute == nullptr ? otherwise : attribute->s();
}

Dims OnnxNode::ints(const char* name, const Dims& otherwise) const {
  const auto* attribute = check_type(find(name), onnx::AttributeProto::INTS);
  if (attribute == nullptr) return otherwise;
  return Dims(attribute->ints().begin(), attribute->ints().end());
}

std::vector<double> OnnxNode::reals(const char* name) const {
  std::vector<double> result;
  const auto* attribute = check_type(find(name), onnx::AttributeProto::FLOATS);
  if (attribute == nullptr) return result;
  for (float value : attribute->floats()) result.push_back(shortest_decimal(value));
  return result;
}

std::vector<std::string> OnnxNode::texts(const char* name) const {
  const auto* attribute = check_type(find(name), onnx::AttributeProto::STRINGS);
  if (attribute == nullptr) return {};
  return {attribute->strings().begin(), attribute->strings().end()};
}

std::optional<KnownTensor> OnnxNode::tensor(const char* name) const {
  const auto* attribute = check_type(find(name), onnx::AttributeProto::TENSOR);
  if (attribute == nullptr) return std::nullopt;
  return read_tensor(attribute->t(), fmt::format("attribute {}", name), importer_.model().shared());
}

namespace {

std::vector<std::string> present(const google::protobuf::RepeatedPtrField<std::string>& names) {
  std::vector<std::string> result;
  for (const std::string& name : names)
    if (!name.empty()) result.push_back(name);
  return result;
}

}  // namespace

std::vector<std::string> OnnxNode::inputs() const { return present(proto_.input()); }
std::vector<std::string> OnnxNode::outputs() const { return present(proto_.output()); }

int OnnxNode::input_count() const { return proto_.input_size(); }

bool OnnxNode::has(int input) const {
  return input < proto_.input_size() && !proto_.input(input).empty();
}

const std::string& OnnxNode::input_name(int input) const {
  if (!has(input)) fail("input {} is missing", input);
  return proto_.input(input);
}

OnnxTensor& OnnxNode::input_tensor(int input) const { return importer_.tensor(input_name(input)); }

Dims OnnxNode::dims(int input) const {
  const OnnxTensor& tensor = input_tensor(input);
  if (tensor.known != nullptr) return tensor.known->dims;
  if (tensor.padding == nullptr) return to_dims(shape(tensor.value));
  Dims dims = to_dims(shape(tensor.padding->x));
  for (size_t i = 0; i < dims.size(); ++i)
    dims[i] += tensor.padding->before[i] + tensor.padding->after[i];
  return dims;
}

ElementType OnnxNode::type(int input) const {
  const OnnxTensor& tensor = input_tensor(input);
  return tensor.known != nullptr ? tensor.known->type : tensor.type;
}

bool OnnxNode::is_known(int input) const {
  return input_tensor(input).known != nullptr && !(derives_ && importer_.trains(input_name(input)));
}

bool OnnxNode::all_known() const {
  for (int i = 0; i < input_count(); ++i)
    if (has(i) && !is_known(i)) return false;
  return true;
}

bool OnnxNode::all_fixed() const {
  for (int i = 0; i < input_count(); ++i)
    if (has(i) && (!is_known(i) || is_parameter(*input_tensor(i).known, Use::number))) return false;
  return true;
}

const KnownTensor& OnnxNode::known(int input, const char* what) const {
  if (input_tensor(input).known == nullptr)
    fail("its {} ('{}') is computed from the model's inputs; only a constant is supported", what,
         input_name(input));
  return *input_tensor(input).known;
}

Dims OnnxNode::known_ints(int input, const char* what) const {
  const KnownTensor& tensor = known(input, what);
  if (tensor.real()) fail("its {} are not integers", what);
  if (tensor.dims.size() > 1) fail("its {} have shape {}", what, dims_text(tensor.dims));
  return tensor.data->ints();
}

double OnnxNode::known_scalar(int input, const char* what) const {
  return scalar(known(input, what));
}

std::optional<Dims> OnnxNode::ints_of(const char* name, int input) const {
  if (has_attribute(name)) return ints(name);
  if (has(input)) return known_ints(input, name);
  return std::nullopt;
}

ValueId OnnxNode::places(int input) const { return importer_.places(input_name(input)); }
ValueId OnnxNode::stored(int input) const {
  return importer_.trains(input_name(input)) ? value(input) : importer_.value(input_name(input));
}

ValueId OnnxNode::value(int input) const {
  const std::string& name = input_name(input);
  return importer_.trains(name) ? derived(input, Use::operand) : importer_.real_value(name);
}

ValueId OnnxNode::operand(int input, Use use) const {
  return trains(input, use) ? derived(input, use) : importer_.real_value(input_name(input));
}

// What has no gradient is as it is, unless it is a weight.
ValueId OnnxNode::derived(int input, Use use) const {
  const std::string& name = input_name(input);
  try {
    return importer_.derive(name);
  } catch (const Error&) {
    if (derives_ || use == Use::weight || input_tensor(input).known->view) throw;
    return importer_.real_value(name);
  }
}

bool OnnxNode::trains(int input, Use use) const {
  if (derives_) return importer_.trains(input_name(input));
  const KnownPtr known = input_tensor(input).known;
  if (known == nullptr || known->view) return known != nullptr && is_parameter(*known, use);
  return (use == Use::weight || use == Use::operand) && importer_.trains(input_name(input));
}

ValueId OnnxNode::constant(const Dims& dims, std::vector<double> reals, const char* suffix) const {
  return importer_.graph.add_constant(part_name(suffix), to_shape(dims), std::move(reals));
}

ValueId OnnxNode::place_list(Dims places, const char* suffix) const {
  return importer_.graph.add_index_constant(part_name(suffix), std::move(places));
}

// A mean is subtracted and a deviation divided by; a product or sum of many numbers normalises only
// after one of these.
Use OnnxNode::use_of(int input, Op op) const {
  const bool one = count_elements(dims(input)) == 1, turned = op == Op::sub || op == Op::div;
  const bool mean_or_deviation = turned && input == 1;
  const Prepared other = input_tensor(1 - input).prepared;
  if (other == Prepared::scaled || (other == Prepared::as_given && (mean_or_deviation || one)))
    return Use::normalises;
  const bool number = (turned && input == 0) || importer_.feeds_root(proto_.output(0));
  return one && number ? Use::number : Use::operand;
}

ValueId OnnxNode::weight(int input, const Dims& view, const Perm& perm, const char* what) const {
  const KnownPtr tensor = input_tensor(input).known;
  if (tensor != nullptr && !tensor->real())
    fail("its {} '{}' is not of floats", what, input_name(input));
  const bool own = tensor != nullptr && is_parameter(*tensor, Use::weight);
  if (own) return importer_.parameter(*tensor, view, perm);
  const bool computed = tensor == nullptr || trains(input, Use::weight);
  if (computed) return transpose(reshape(operand(input, Use::weight), view, what), perm, what);
  if (tensor->derived)
    fail(
        "its {} '{}' is computed from tensors of which nothing says that they are parameters; "
        "export "
        "the model with constants folded",
        what, input_name(input));
  return importer_.constant(*tensor, input_name(input), view, perm);
}

ValueId OnnxNode::vector_weight(int input, int64_t size, const char* what) const {
  if (dims(input) != Dims{size})
    fail("its {} has shape {}, not [{}]", what, dims_text(dims(input)), size);
  return weight(input, {size}, {0}, what);
}

ValueId OnnxNode::statistic(int input, int64_t size, const char* what, double momentum) const {
  const KnownTensor& tensor = known(input, what);
  if (tensor.dims != Dims{size})
    fail("its {} has shape {}, not [{}]", what, dims_text(tensor.dims), size);
  if (!tensor.real()) fail("its {} '{}' is not of floats", what, input_name(input));
  const ValueId id = importer_.value(input_name(input));
  Value& made = importer_.graph.value(id);
  made.momentum = momentum;
  if (tensor.view) made.origin = {tensor.view->tensor, tensor.dims, made.shape};
  return id;
}

ValueId OnnxNode::index_constant(int input, int64_t size) const {
  std::vector<int64_t> places = known(input, "indices").data->ints();
  for (int64_t& place : places) {
    if (place < -size || place >= size) fail("index {} of an axis of {}", place, size);
    place += place < 0 ? size : 0;
  }
  return importer_.graph.add_index_constant(input_name(input) + "/places", std::move(places));
}

std::shared_ptr<const Padding> OnnxNode::padding(int input) const {
  return input_tensor(input).padding;
}

std::string OnnxNode::part_name(const char* suffix) const {
  return suffix == nullptr ? name_ : name_ + "/" + suffix;
}

ValueId OnnxNode::emit(Op op, AnyAttrs attrs, std::vector<ValueId> inputs, const char* suffix,
                       const Shape* shape) const {
  return importer_.graph.emit(op, std::move(attrs), std::move(inputs), part_name(suffix), shape);
}

ValueId OnnxNode::also(int output) const {
  return importer_.graph.want_output(importer_.graph.nodes.back(), output);
}

ValueId OnnxNode::reshape(ValueId x, const Dims& dims, const char* suffix) const {
  return importer_.graph.reshape(x, to_shape(dims), part_name(suffix));
}

ValueId OnnxNode::number(double x) const {
  return importer_.graph.add_constant(part_name("number"), {}, {x});
}

ValueId OnnxNode::first_step() const {
  return importer_.graph.add_index_constant(part_name("step"), {0});
}

int32_t OnnxNode::seed() const { return importer_.next_seed(); }
bool OnnxNode::may_drop() const { return importer_.options().dropout != Dropout::off; }
bool OnnxNode::drops() const { return importer_.options().dropout == Dropout::training; }

ValueId OnnxNode::transpose(ValueId x, const Perm& perm, const char* suffix) const {
  return importer_.graph.transpose(x, perm, part_name(suffix));
}

ValueId OnnxNode::slice(ValueId x, int axis, int64_t start, int64_t count,
                        const char* suffix) const {
  Dims dims = to_dims(shape(x));
  dims[axis] = count;
  const Shape part = to_shape(dims);
  if (part == shape(x)) return x;
  return emit(Op::slice, SliceAttrs{axis, static_cast<int32_t>(start)}, {x}, suffix, &part);
}

ValueId OnnxNode::to_channels_last(ValueId x) const {
  return transpose(x, channels_last(shape(x).rank), "channels_last");
}

int OnnxNode::output_count() const { return proto_.output_size(); }

bool OnnxNode::wants(int output) const {
  return output < proto_.output_size() && !proto_.output(output).empty() &&
         importer_.is_read(proto_.output(output));
}

void OnnxNode::refuse_outputs(int first) const {
  for (int i = first; i < output_count(); ++i)
    if (wants(i)) fail("its output {} ('{}') is not supported", i, proto_.output(i));
}

OnnxTensor& OnnxNode::output_tensor(int output) const {
  if (output >= proto_.output_size()) fail("it has no output {}", output);
  return importer_.tensor(proto_.output(output));
}

OnnxTensor& OnnxNode::typed_output(int output) const {
  OnnxTensor& tensor = output_tensor(output);
  if (has(0)) tensor.type = type(0);
  return tensor;
}

namespace {

// Notes that `value`, its axes permuted, is the model's tensor `name`, unless it is one already.
void note_tensor(Graph& graph, ValueId value, const std::string& name, const Perm& perm,
                 const std::string& value_name) {
  Value& v = graph.value(value);
  if (!v.model_tensor.empty() || v.role != Role::temporary) return;
  v.model_tensor = name;
  std::copy(perm.begin(), perm.end(), v.model_perm.begin());
  graph.rename(value, value_name);
}

}  // namespace

void OnnxNode::set(int output, ValueId value) const {
  if (output >= proto_.output_size() || proto_.output(output).empty()) return;
  const std::string& name = proto_.output(output);
  if (derives_) return importer_.set_derived(name, value);
  note_tensor(importer_.graph, value, name, identity_perm(shape(value).rank), name);
  typed_output(output).value = value;
}

void OnnxNode::set(int output, ValueId value, ElementType type) const {
  if (output >= proto_.output_size() || proto_.output(output).empty()) return;
  set(output, value);
  output_tensor(output).type = type;
}

void OnnxNode::set_channels_last(int output, ValueId value) const {
  if (output >= proto_.output_size() || proto_.output(output).empty()) return;
  const std::string& name = proto_.output(output);
  const Perm perm = channels_last(shape(value).rank);
  if (derives_)
    return importer_.set_derived(name, transpose(value, inverse(perm), "channels_first"));
  note_tensor(importer_.graph, value, name, perm, name);
  const ValueId first = transpose(value, inverse(perm), "channels_first");
  note_tensor(importer_.graph, first, name, identity_perm(shape(value).rank),
              name + "/channels_first");
  typed_output(output).value = first;
}

void OnnxNode::set(int output, KnownTensor known) const {
  if (output >= proto_.output_size() || proto_.output(output).empty() || derives_) return;
  output_tensor(output).known = std::make_shared<const KnownTensor>(std::move(known));
}

void OnnxNode::set_model_tensor(KnownTensor known) const {
  const std::string& name = proto_.output(0);
  Mark mark = importer_.mark_of(name);
  // What is computed from an exporter's constants is none of the user's weights.
  if (mark == Mark::none && looks_generated(name)) mark = Mark::made;
  known.view =
      View{name, mark, known.dims, known.dims, identity_perm(static_cast<int>(known.dims.size()))};
  set(0, std::move(known));
}

void OnnxNode::set_unquantized(int output, ValueId value) const {
  OnnxTensor reals;
  reals.value = value;
  output_tensor(output).unquantized = std::make_shared<const OnnxTensor>(std::move(reals));
  output_tensor(output).scale = scale_name();
}

void OnnxNode::set_unquantized_input(int output, int input) const {
  output_tensor(output).unquantized = std::make_shared<const OnnxTensor>(input_tensor(input));
  output_tensor(output).scale = scale_name();
}

// That of a QuantizeLinear or DequantizeLinear, or what a DynamicQuantizeLinear makes.
std::string OnnxNode::scale_name() const { return has(1) ? proto_.input(1) : proto_.output(1); }

bool OnnxNode::take_unquantized(int output, int input) const {
  const OnnxTensor quantized = input_tensor(input);
  if (!quantized.unquantized || !same_scale(quantized.scale, scale_name())) return false;
  output_tensor(output) = *quantized.unquantized;
  if (quantized.unquantized->value != kNone)
    set(output, quantized.unquantized->value, ElementType::f32);
  return true;
}

bool OnnxNode::same_scale(const std::string& a, const std::string& b) const {
  if (a == b) return true;
  const KnownPtr first = importer_.tensor(a).known, second = importer_.tensor(b).known;
  return first && second && first->dims == second->dims &&
         first->data->reals() == second->data->reals();
}

void OnnxNode::set_padded(int output, Padding padding) const {
  if (derives_) {
    const std::string& name = proto_.output(output);
    return importer_.set_derived(name, importer_.emit_padding(padding, name));
  }
  typed_output(output).padding = std::make_shared<const Padding>(std::move(padding));
}

void OnnxNode::import_branch(const char* name) const {
  const auto* attribute = check_type(find(name), onnx::AttributeProto::GRAPH);
  if (attribute == nullptr) fail("it has no {}", name);
  importer_.import_branch(attribute->g(), proto_);
}

void OnnxNode::alias(int output, int input) const {
  if (output >= proto_.output_size() || proto_.output(output).empty()) return;
  if (derives_) return importer_.set_derived(proto_.output(output), value(input));
  const OnnxTensor tensor = input_tensor(input);
  output_tensor(output) = tensor;
  if (tensor.value != kNone) set(output, tensor.value);
}

}  // namespace attune
