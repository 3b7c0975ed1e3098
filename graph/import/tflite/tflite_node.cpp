#include "graph/import/tflite/tflite_node.h"

#include <algorithm>
#include <limits>

#include "graph/import/common/known_math.h"

namespace attune {

bool TfliteNode::read_inputs() {
  bool reachable = true;
  for (int i = 0; i < input_count(); ++i) {
    if (!has(i)) continue;
    TfliteTensor& tensor = input(i);
    reachable = reachable && !tensor.failed;
    if (tensor.failed || tensor.known || !tensor.forms.empty() || !tensor.image.empty()) continue;
    const auto& from = translator_.file().tensor(static_cast<uint32_t>(index(i)));
    if (translator_.file().contents(from).empty()) {
      if (from.is_variable()) fail("it keeps '{}' from run to run", tensor.name);
      if (count_elements(tensor.dims) != 0) fail("nothing makes its input '{}'", tensor.name);
    }
    tensor.known = std::make_shared<const KnownTensor>(
        read_constant(translator_.shared_file(), static_cast<uint32_t>(index(i))));
    tensor.type = tensor.known->type;
    tensor.source = index(i);
  }
  return reachable;
}

int TfliteNode::input_count() const {
  return op_.inputs() == nullptr ? 0 : static_cast<int>(op_.inputs()->size());
}

int TfliteNode::output_count() const { return static_cast<int>(op_.outputs()->size()); }

bool TfliteNode::has(int i) const { return i < input_count() && index(i) >= 0; }

TfliteTensor& TfliteNode::input(int i) const {
  if (!has(i)) fail("it has no input {}", i);
  return translator_.tensor(index(i));
}

TfliteTensor& TfliteNode::output(int i) const {
  if (i >= output_count()) fail("it has no output {}", i);
  return translator_.tensor(op_.outputs()->Get(static_cast<uint32_t>(i)));
}

ElementType TfliteNode::output_type(int i) const {
  output(i);
  return computed_type(translator_.file().tensor(
      static_cast<uint32_t>(op_.outputs()->Get(static_cast<uint32_t>(i)))));
}

int TfliteNode::axis(int64_t given, int rank) const {
  if (given < -rank || given >= rank) fail("axis {} of {}", given, rank);
  return static_cast<int>(given < 0 ? given + rank : given);
}

bool TfliteNode::all_known() const {
  for (int i = 0; i < input_count(); ++i)
    if (has(i) && !is_known(i)) return false;
  return true;
}

const KnownTensor& TfliteNode::known(int i, const char* what) const {
  if (!is_known(i))
    fail("its {} ('{}') is computed from the model's inputs; only a constant is supported", what,
         input(i).name);
  return *input(i).known;
}

Dims TfliteNode::ints(int i, const char* what) const {
  const KnownTensor& tensor = known(i, what);
  if (tensor.real()) fail("its {} are not integers", what);
  return tensor.data->ints();
}

bool TfliteNode::is_number(int i) const {
  return is_known(i) && dims(i).empty() && input(i).known->real();
}

std::string TfliteNode::value_of(Translator& translator, int32_t index, const Dims& form) {
  TfliteTensor& tensor = translator.tensor(index);
  if (tensor.forms.empty()) {
    const std::string first = translator.unique(tensor.name + "/channels_last");
    onnx::NodeProto& node = translator.add_node("Transpose", {tensor.image}, first);
    set_attribute(node, {"perm", Dims{0, 2, 3, 1}});
    tensor.forms.emplace_back(example(tensor.dims), first);
  }
  for (const auto& [shape, name] : tensor.forms)
    if (shape == form) return name;
  if (count_elements(form) != count_elements(tensor.dims))
    throw_error("'{}' of shape {} is no {}", tensor.name, dims_text(tensor.dims), dims_text(form));
  Dims target = {0};
  target.insert(target.end(), form.begin(), form.end());
  const std::string name = translator.unique(tensor.name + "/reshaped");
  translator.add_node("Reshape", {tensor.forms.front().second, translator.ints(target)}, name);
  tensor.forms.emplace_back(form, name);
  return name;
}

std::string TfliteNode::value(int i, const Dims& form) const {
  if (is_known(i))
    return is_number(i) ? real(scalar(*input(i).known)) : weight(i, identity_perm(rank(i)));
  return value_of(translator_, index(i), form);
}

std::string TfliteNode::operand(int i, const Dims& to, bool whole) const {
  Dims aligned = dims(i);
  if (aligned.size() > to.size()) fail("a shape of {} axes for {}", aligned.size(), to.size());
  if (is_known(i)) return value(i, {});
  aligned.insert(aligned.begin(), to.size() - aligned.size(), 1);
  return value(i, whole || aligned.empty() ? aligned : Dims(aligned.begin() + 1, aligned.end()));
}

std::string TfliteNode::weight(int i, const Perm& perm) const {
  known(i, "weight");
  return translator_.weight(index(i), perm);
}

std::string TfliteNode::repeated(int i, const Dims& to, bool whole) {
  if (!is_known(i)) return operand(i, to, whole);
  std::string batch;
  for (int other = 0; other < input_count() && batch.empty(); ++other)
    if (has(other) && !is_known(other)) batch = value(other);
  Dims rest = dims(i);
  std::string constant = value(i, {});
  if (!whole) {
    rest.erase(rest.begin());
  } else {
    Dims target = rest;
    target.insert(target.begin(), 1);
    constant = emit("Reshape", {constant, ints(target)});
  }
  const std::string size = emit("Shape", {batch}, {{"start", int64_t{0}}, {"end", int64_t{1}}});
  const std::string shape =
      rest.empty() ? size : emit("Concat", {size, ints(rest)}, {{"axis", int64_t{0}}});
  return emit("Expand", {constant, shape});
}

std::string TfliteNode::image(int i) const {
  TfliteTensor& tensor = input(i);
  if (tensor.known) fail("its input '{}' is a constant", tensor.name);
  if (tensor.dims.size() != 4 || tensor.dims[0] != 1)
    fail("its input has shape {}; images [1,H,W,C] are supported", dims_text(tensor.dims));
  if (!tensor.image.empty()) return tensor.image;
  tensor.image = translator_.unique(tensor.name + "/channels_first");
  onnx::NodeProto& node = translator_.add_node("Transpose", {value(i)}, tensor.image);
  set_attribute(node, {"perm", Dims{0, 3, 1, 2}});
  return tensor.image;
}

void set_attribute(onnx::NodeProto& node, const Attribute& from) {
  onnx::AttributeProto& to = *node.add_attribute();
  to.set_name(from.name);
  if (const auto* integer = std::get_if<int64_t>(&from.value)) {
    to.set_type(onnx::AttributeProto::INT);
    to.set_i(*integer);
  } else if (const auto* integers = std::get_if<Dims>(&from.value)) {
    to.set_type(onnx::AttributeProto::INTS);
    for (const int64_t v : *integers) to.add_ints(v);
  } else if (const auto* real = std::get_if<double>(&from.value)) {
    to.set_type(onnx::AttributeProto::FLOAT);
    to.set_f(static_cast<float>(*real));
  } else {
    to.set_type(onnx::AttributeProto::STRING);
    to.set_s(std::get<const char*>(from.value));
  }
}

std::vector<std::string> TfliteNode::emit_many(const char* type,
                                               const std::vector<std::string>& inputs,
                                               const std::vector<Attribute>& attributes,
                                               int outputs) {
  std::vector<std::string> made;
  for (int i = 0; i < outputs; ++i)
    made.push_back(translator_.unique(fmt::format("{}/{}", output(0).name, type)));
  onnx::NodeProto& node = translator_.add_node(type, inputs, made[0]);
  for (int i = 1; i < outputs; ++i) node.add_output(made[static_cast<size_t>(i)]);
  for (const Attribute& attribute : attributes) set_attribute(node, attribute);
  last_ = outputs == 1 ? made[0] : "";
  last_node_ = &node;
  return made;
}

std::string TfliteNode::reshape(const std::string& value, const Dims& form) {
  Dims target = {0};
  target.insert(target.end(), form.begin(), form.end());
  return emit("Reshape", {value, ints(target)});
}

std::string TfliteNode::activate(const std::string& value, tflite::Activation activation) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  double least = -kInfinite, most = kInfinite;
  switch (activation) {
    case tflite::Activation::NONE:
      return value;
    case tflite::Activation::RELU:
      least = 0;
      break;
    case tflite::Activation::RELU_N1_TO_1:
      least = -1, most = 1;
      break;
    case tflite::Activation::RELU6:
      least = 0, most = 6;
      break;
    case tflite::Activation::TANH:
      return emit("Tanh", {value});
    default:
      fail("the activation {}", tflite::EnumNameActivation(activation));
  }
  // Of a quantised activation the integers' range is a part: training and calibration rely on it.
  if (const auto range = quantized_range(
          translator_.file().tensor(static_cast<uint32_t>(op_.outputs()->Get(0))))) {
    least = std::max(least, range->first);
    most = std::min(most, range->second);
  }
  if (least == 0 && most == kInfinite) return emit("Relu", {value});
  return emit("Clip", {value, real(least), real(most)});
}

TfliteTensor& TfliteNode::new_output(int i, const Dims& dims) {
  TfliteTensor& tensor = output(i);
  if (tensor.known || !tensor.forms.empty() || !tensor.image.empty())
    fail("its output '{}' is made twice", tensor.name);
  if (dims.size() >= kMaxRank) fail("its output has shape {}", dims_text(dims));
  for (const int64_t d : dims)
    if (d < 1) fail("its output has shape {}", dims_text(dims));
  count_elements(dims);
  tensor.dims = dims;
  tensor.type = output_type(i);
  return tensor;
}

std::string TfliteNode::named(const std::string& value, const std::string& name) {
  if (value != last_ || last_.empty()) return value;
  last_.clear();
  last_node_->set_output(0, name);
  last_node_->set_name(name);
  return name;
}

void TfliteNode::set(int i, const std::string& value, const Dims& dims, const Dims& form) {
  TfliteTensor& tensor = new_output(i, dims);
  tensor.forms.emplace_back(form, form == example(dims) ? named(value, tensor.name) : value);
}

void TfliteNode::set_image(int i, const std::string& value, const Dims& dims) {
  TfliteTensor& tensor = new_output(i, dims);
  tensor.image = named(value, tensor.name);
}

void TfliteNode::set_known(int i, KnownTensor known) {
  TfliteTensor& tensor = output(i);
  if (tensor.known || !tensor.forms.empty() || !tensor.image.empty())
    fail("its output '{}' is made twice", tensor.name);
  tensor.dims = known.dims;
  tensor.type = known.type;
  tensor.known = std::make_shared<const KnownTensor>(std::move(known));
}

void TfliteNode::alias(int i, int from, const Dims& dims) {
  if (count_elements(dims) != count_elements(this->dims(from)))
    fail("{} elements of shape {} do not make {}", count_elements(this->dims(from)),
         dims_text(this->dims(from)), dims_text(dims));
  if (is_known(from)) {
    const int32_t source = input(from).source;
    set_known(i, attune::reshape(*input(from).known, dims));
    output(i).source = source;
    return;
  }
  if (dims == this->dims(from) && is_image(from)) return set_image(i, input(from).image, dims);
  const std::string same = value(from, example(dims));
  set(i, same, dims);
}

}  // namespace attune
