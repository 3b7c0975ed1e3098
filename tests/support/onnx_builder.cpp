#include "tests/support/onnx_builder.h"

#include <algorithm>

namespace attune {

OnnxBuilder::OnnxBuilder(int opset) {
  proto_.set_ir_version(8);
  proto_.add_opset_import()->set_version(opset);
  proto_.mutable_graph()->set_name("test");
}

OnnxBuilder& OnnxBuilder::input(const std::string& name, const std::vector<int64_t>& dims) {
  auto* info = proto_.mutable_graph()->add_input();
  info->set_name(name);
  auto* type = info->mutable_type()->mutable_tensor_type();
  type->set_elem_type(onnx::TensorProto::FLOAT);
  auto* shape = type->mutable_shape();
  for (int64_t dim : dims) {
    if (dim == -1)
      shape->add_dim()->set_dim_param("N");
    else
      shape->add_dim()->set_dim_value(dim);
  }
  return *this;
}

OnnxBuilder& OnnxBuilder::int_input(const std::string& name, const std::vector<int64_t>& dims) {
  input(name, dims);
  auto& inputs = *proto_.mutable_graph()->mutable_input();
  inputs[inputs.size() - 1].mutable_type()->mutable_tensor_type()->set_elem_type(
      onnx::TensorProto::INT64);
  return *this;
}

OnnxBuilder& OnnxBuilder::output(const std::string& name) {
  proto_.mutable_graph()->add_output()->set_name(name);
  return *this;
}

OnnxBuilder& OnnxBuilder::tensor(const std::string& name, const std::vector<int64_t>& dims,
                                 float first, float step) {
  auto* tensor = proto_.mutable_graph()->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::FLOAT);
  int64_t elements = 1;
  for (int64_t dim : dims) {
    tensor->add_dims(dim);
    elements *= dim;
  }
  for (int64_t i = 0; i < elements; ++i)
    tensor->add_float_data(first + step * static_cast<float>(i));
  return *this;
}

OnnxBuilder& OnnxBuilder::ints(const std::string& name, const std::vector<int64_t>& values) {
  auto* tensor = proto_.mutable_graph()->add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::INT64);
  tensor->add_dims(static_cast<int64_t>(values.size()));
  for (int64_t value : values) tensor->add_int64_data(value);
  return *this;
}

onnx::NodeProto& OnnxBuilder::node(const std::string& op, const std::vector<std::string>& inputs,
                                   const std::vector<std::string>& outputs) {
  auto* node = proto_.mutable_graph()->add_node();
  node->set_op_type(op);
  node->set_name(outputs[0] + "_node");
  for (const auto& input : inputs) node->add_input(input);
  for (const auto& output : outputs) node->add_output(output);
  return *node;
}

namespace {

onnx::AttributeProto* add(onnx::NodeProto& node, const char* name,
                          onnx::AttributeProto::AttributeType type) {
  auto* attribute = node.add_attribute();
  attribute->set_name(name);
  attribute->set_type(type);
  return attribute;
}

}  // namespace

void set_int(onnx::NodeProto& node, const char* name, int64_t value) {
  add(node, name, onnx::AttributeProto::INT)->set_i(value);
}

void set_ints(onnx::NodeProto& node, const char* name, const std::vector<int64_t>& values) {
  auto* attribute = add(node, name, onnx::AttributeProto::INTS);
  for (int64_t value : values) attribute->add_ints(value);
}

void set_float(onnx::NodeProto& node, const char* name, float value) {
  add(node, name, onnx::AttributeProto::FLOAT)->set_f(value);
}

void set_text(onnx::NodeProto& node, const char* name, const std::string& value) {
  add(node, name, onnx::AttributeProto::STRING)->set_s(value);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

int count_ops(const Graph& graph, Op op) {
  return static_cast<int>(std::count_if(graph.nodes.begin(), graph.nodes.end(),
                                        [&](const Node& node) { return node.op == op; }));
}

const Node* find_node(const Graph& graph, Op op) {
  for (const Node& node : graph.nodes)
    if (node.op == op) return &node;
  return nullptr;
}

double test_element(int64_t i) {
  return static_cast<double>((i * 7919 + 1009) % 10007) / 5003.5 - 1;
}

}  // namespace attune
