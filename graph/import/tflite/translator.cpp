#include "graph/import/tflite/translator.h"

#include <algorithm>

#include "graph/import/common/element_type.h"
#include "graph/import/common/known_math.h"
#include "graph/import/tflite/tflite_node.h"
#include "graph/ir/error.h"

namespace attune {
namespace {

constexpr int kOpset = 17, kIrVersion = 8;
constexpr size_t kMaxListedOperators = 50;

struct TfliteOp {
  tflite::BuiltinOperator code;
  void (*translate)(TfliteNode& n);
};
constexpr TfliteOp kTfliteOps[] = {
#define TFLITE(name) {tflite::BuiltinOperator::name, translate_##name},
#include "graph/import/tflite/tflite_ops.def"
};

const TfliteOp* find_op(tflite::BuiltinOperator code) {
  for (const TfliteOp& op : kTfliteOps)
    if (op.code == code) return &op;
  return nullptr;
}

}  // namespace

Dims example(const Dims& dims) {
  return !dims.empty() && dims[0] == 1 ? Dims(dims.begin() + 1, dims.end()) : dims;
}

Translation translate(const std::shared_ptr<const TfliteFile>& file) {
  return Translator(file).run();
}

Translator::Translator(const std::shared_ptr<const TfliteFile>& file)
    : file_(file), proto_(std::make_shared<onnx::ModelProto>()) {
  proto_->set_ir_version(kIrVersion);
  proto_->add_opset_import()->set_version(kOpset);
  const auto* name = file->graph().name();
  proto_->mutable_graph()->set_name(name && name->size() > 0 ? name->str() : "main");
}

Translation Translator::run() {
  const auto* tensors = file_->graph().tensors();
  for (uint32_t i = 0; i < tensors->size(); ++i) {
    const tflite::Tensor& from = *tensors->Get(i);
    TfliteTensor& to = tensors_.emplace_back();
    to.name = unique(name_of(from).empty() ? fmt::format("tensor_{}", i) : name_of(from));
    to.dims = dims_of(from);
  }
  add_inputs();
  translate_operators();
  add_outputs();
  Translation result{proto_, std::move(weights_), {}};
  for (const TfliteTensor& tensor : tensors_) result.dims.push_back(tensor.dims);
  return result;
}

std::string Translator::unique(const std::string& name) {
  std::string tried = name;
  for (int i = 2; !names_.insert(tried).second; ++i) tried = fmt::format("{}_{}", name, i);
  return tried;
}

// What the signature calls an input or output, or the tensor's own name.
std::string Translator::signature_name(bool input, int32_t index) const {
  const auto* signature = file_->signature();
  const auto* maps = signature == nullptr ? nullptr
                     : input              ? signature->inputs()
                                          : signature->outputs();
  for (uint32_t i = 0; maps != nullptr && i < maps->size(); ++i)
    if (maps->Get(i)->tensor_index() == static_cast<uint32_t>(index) && maps->Get(i)->name() &&
        maps->Get(i)->name()->size() > 0)
      return maps->Get(i)->name()->str();
  return name_of(file_->tensor(static_cast<uint32_t>(index)));
}

void Translator::add_port(onnx::ValueInfoProto* info, const TfliteTensor& tensor,
                          const std::string& name) {
  info->set_name(name);
  auto* type = info->mutable_type()->mutable_tensor_type();
  type->set_elem_type(static_cast<int32_t>(tensor.type));
  type->mutable_shape()->add_dim()->set_dim_param("N");
  for (const int64_t d : example(tensor.dims)) type->mutable_shape()->add_dim()->set_dim_value(d);
}

void Translator::add_inputs() {
  for (const int32_t index : *file_->graph().inputs()) {
    TfliteTensor& tensor = this->tensor(index);
    const std::string where = fmt::format("{}: input '{}'", file_->path(), tensor.name);
    if (!tensor.forms.empty()) throw_error("{} is there twice", where);
    try {
      tensor.type = computed_type(file_->tensor(static_cast<uint32_t>(index)));
      to_shape(tensor.dims);
      for (const int64_t d : tensor.dims)
        if (d < 1)
          throw_error("its shape {} is not known; convert the model with a fixed shape",
                      dims_text(tensor.dims));
    } catch (const Error& error) {
      throw_error("{}: {}", where, error.what());
    }
    names_.erase(tensor.name);
    const std::string name = signature_name(true, index);
    tensor.name = unique(name.empty() ? tensor.name : name);
    add_port(proto_->mutable_graph()->add_input(), tensor, tensor.name);
    tensor.forms.emplace_back(example(tensor.dims), tensor.name);
  }
}

void Translator::translate_operators() {
  const auto* operators = file_->graph().operators();
  std::vector<std::string> failures;
  for (uint32_t i = 0; operators != nullptr && i < operators->size(); ++i) {
    const tflite::Operator& proto = *operators->Get(i);
    std::string reason;
    bool reachable = true;
    const TfliteOp* op = find_op(file_->builtin(proto));
    try {
      TfliteNode node(*this, proto);
      reachable = node.read_inputs();
      if (op == nullptr)
        reason = "the operator is not supported";
      else if (reachable)
        op->translate(node);
    } catch (const Error& error) {
      reason = error.what();
    }
    const bool failed = !reason.empty() || !reachable;
    for (const int32_t output : *proto.outputs())
      if (failed) tensor(output).failed = true;
    if (!reason.empty())
      failures.push_back(fmt::format("{} ({}): {}", tensor(proto.outputs()->Get(0)).name,
                                     file_->operator_name(proto), reason));
  }
  if (failures.empty()) return;
  std::string text = fmt::format("{}: {} operator{} cannot be imported:", file_->path(),
                                 failures.size(), failures.size() == 1 ? "" : "s");
  const size_t listed = std::min(failures.size(), kMaxListedOperators);
  for (size_t i = 0; i < listed; ++i) text += "\n  " + failures[i];
  if (failures.size() > listed) text += fmt::format("\n  and {} more", failures.size() - listed);
  throw Error(text);
}

// Whether it is an input or an initializer.
bool Translator::is_given(const std::string& name) const {
  const auto named = [&](const auto& one) { return one.name() == name; };
  const onnx::GraphProto& graph = proto_->graph();
  return std::any_of(graph.input().begin(), graph.input().end(), named) ||
         std::any_of(graph.initializer().begin(), graph.initializer().end(), named);
}

void Translator::rename(const std::string& from, const std::string& to) {
  const auto change = [&](std::string& name) {
    if (name == from) name = to;
  };
  for (onnx::NodeProto& node : *proto_->mutable_graph()->mutable_node()) {
    for (std::string& input : *node.mutable_input()) change(input);
    for (std::string& output : *node.mutable_output()) change(output);
  }
  for (TfliteTensor& tensor : tensors_) {
    change(tensor.image);
    for (auto& [form, name] : tensor.forms) change(name);
  }
}

void Translator::add_outputs() {
  std::unordered_set<int32_t> seen;
  std::unordered_set<std::string> outputs;
  for (const int32_t index : *file_->graph().outputs()) {
    TfliteTensor& tensor = this->tensor(index);
    const std::string where = fmt::format("{}: output '{}'", file_->path(), tensor.name);
    if (!seen.insert(index).second) throw_error("{} is there twice", where);
    if (tensor.forms.empty() && tensor.image.empty())
      throw_error("{} does not depend on the model's inputs", where);
    const std::string value = TfliteNode::value_of(*this, index, example(tensor.dims));
    std::string name = signature_name(false, index);
    if (name.empty()) name = tensor.name;
    if (name != value || is_given(value)) {
      // A value of that name gives way, but for what keeps its name.
      if (outputs.contains(name) || is_given(name))
        name = unique(name);
      else
        rename(name, unique(name + "/inner"));
      // What has its own name already keeps it.
      if (outputs.contains(value) || is_given(value))
        add_node("Identity", {value}, name);
      else
        rename(value, name);
    }
    outputs.insert(name);
    add_port(proto_->mutable_graph()->add_output(), tensor, name);
  }
}

onnx::NodeProto& Translator::add_node(const std::string& type,
                                      const std::vector<std::string>& inputs,
                                      const std::string& output) {
  onnx::NodeProto& node = *proto_->mutable_graph()->add_node();
  node.set_op_type(type);
  node.set_name(output);
  for (const std::string& input : inputs) node.add_input(input);
  node.add_output(output);
  return node;
}

void Translator::add_initializer(const KnownTensor& known, const std::string& name,
                                 const Perm& perm) {
  onnx::TensorProto& to = *proto_->mutable_graph()->add_initializer();
  to.set_name(name);
  to.set_data_type(static_cast<int32_t>(known.type));
  for (const int axis : perm) to.add_dims(known.dims.at(static_cast<size_t>(axis)));
  const DataPtr data = known.data->permuted(known.dims, perm);
  std::string& bytes = *to.mutable_raw_data();
  bytes.reserve(data->size() * element_bytes(known.type));
  const auto append = [&](auto number) {
    with_element(known.type, [&](auto element) {
      element = static_cast<decltype(element)>(number);
      bytes.append(reinterpret_cast<const char*>(&element), sizeof(element));
    });
  };
  if (known.real()) {
    data->each_block([&](size_t, std::span<const double> block) {
      for (const double x : block) append(x);
    });
  } else {
    for (const int64_t x : data->ints()) append(x);
  }
}

std::string Translator::weight(int32_t index, const Perm& perm) {
  const TfliteTensor& from = tensor(index);
  // A second layout of a tensor is rare, and has a name of its own.
  const bool first = layouts_.lower_bound({index, {}}) == layouts_.lower_bound({index + 1, {}});
  const auto [at, fresh] = layouts_.try_emplace({index, perm});
  if (!fresh) return at->second;
  at->second = first ? from.name : unique(from.name + "/layout");
  add_initializer(*from.known, at->second, perm);
  if (from.source >= 0) weights_[at->second] = {from.source, from.known->dims, perm};
  return at->second;
}

std::string Translator::ints(const Dims& values) {
  const auto [at, fresh] = ints_.try_emplace(values);
  if (!fresh) return at->second;
  at->second = unique("const_shape");
  add_initializer(vector_of(values), at->second, {0});
  return at->second;
}

std::string Translator::real(double value) {
  const auto [at, fresh] = reals_.try_emplace(value);
  if (!fresh) return at->second;
  KnownTensor known;
  known.type = ElementType::f32;
  known.data = Data::of_reals({value});
  at->second = unique("const_number");
  add_initializer(known, at->second, {});
  return at->second;
}

}  // namespace attune
