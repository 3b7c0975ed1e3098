#include "graph/import/model_writer.h"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <cmath>

namespace attune {
namespace {

void set_ints(onnx::NodeProto& node, const char* name, const std::vector<int64_t>& values) {
  auto* attribute = node.add_attribute();
  attribute->set_name(name), attribute->set_type(onnx::AttributeProto::INTS);
  for (const int64_t v : values) attribute->add_ints(v);
}

void set_int(onnx::NodeProto& node, const char* name, int64_t value) {
  auto* attribute = node.add_attribute();
  attribute->set_name(name), attribute->set_type(onnx::AttributeProto::INT);
  attribute->set_i(value);
}

}  // namespace

ModelWriter::ModelWriter(const std::vector<int64_t>& example)
    : proto_(std::make_unique<onnx::ModelProto>()) {
  proto_->set_ir_version(8);
  proto_->add_opset_import()->set_version(13);
  graph().set_name("network");
  auto* input = graph().add_input();
  input->set_name(at_ = "x");
  auto* type = input->mutable_type()->mutable_tensor_type();
  type->set_elem_type(onnx::TensorProto::FLOAT);
  type->mutable_shape()->add_dim()->set_dim_param("N");
  for (const int64_t d : example) type->mutable_shape()->add_dim()->set_dim_value(d);
  channels_ = example.front();
}

ModelWriter::~ModelWriter() = default;

void ModelWriter::convolution(int64_t outputs, const Convolution& c) {
  const int64_t groups = c.depthwise ? channels_ : 1;
  std::vector<std::string> inputs = {at_,
                                     weight({outputs, channels_ / groups, c.kernel_h, c.kernel_w})};
  if (!c.norm) inputs.push_back(filled({outputs}, 0));
  onnx::NodeProto& node = add("Conv", inputs);
  set_ints(node, "kernel_shape", {c.kernel_h, c.kernel_w});
  set_ints(node, "strides", {c.stride, c.stride});
  const int top = c.kernel_h / 2, left = c.kernel_w / 2;
  set_ints(node, "pads", {c.kernel_h - 1 - top, c.kernel_w - 1 - left, top, left});
  set_int(node, "group", groups);
  channels_ = outputs;
  if (c.norm)
    add("BatchNormalization", {at_, filled({outputs}, 1), filled({outputs}, 0),
                               filled({outputs}, 0), filled({outputs}, 1)});
}

void ModelWriter::clamp6() { add("Clip", {at_, filled({}, 0), filled({}, 6)}); }

void ModelWriter::max_pool() {
  onnx::NodeProto& node = add("MaxPool", {at_});
  set_ints(node, "kernel_shape", {3, 3}), set_ints(node, "strides", {2, 2});
  set_ints(node, "pads", {1, 1, 1, 1});
}

void ModelWriter::average_pool(int h, int w) {
  onnx::NodeProto& node = add("AveragePool", {at_});
  set_ints(node, "kernel_shape", {h, w}), set_ints(node, "strides", {h, w});
}

void ModelWriter::linear(int64_t outputs) {
  onnx::NodeProto& node = add("Gemm", {at_, weight({outputs, channels_}), filled({outputs}, 0)});
  set_int(node, "transB", 1);
  channels_ = outputs;
}

void ModelWriter::classifier(int64_t classes) {
  plain("GlobalAveragePool");
  plain("Flatten");
  linear(classes);
}

ModelPtr ModelWriter::finish(const char* name) {
  graph().add_output()->set_name(at_);
  return parse_model(proto_->SerializeAsString(), name);
}

onnx::GraphProto& ModelWriter::graph() { return *proto_->mutable_graph(); }

onnx::NodeProto& ModelWriter::add(const char* op, const std::vector<std::string>& inputs) {
  onnx::NodeProto& node = *graph().add_node();
  node.set_op_type(op);
  for (const std::string& input : inputs) node.add_input(input);
  node.set_name(fmt::format("{}_{}", op, graph().node_size()));
  node.add_output(at_ = node.name() + "_y");
  return node;
}

onnx::TensorProto& ModelWriter::tensor(const std::vector<int64_t>& dims) {
  auto& tensor = *graph().add_initializer();
  tensor.set_name(fmt::format("t{}", graph().initializer_size()));
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  for (const int64_t d : dims) tensor.add_dims(d);
  return tensor;
}

std::string ModelWriter::filled(const std::vector<int64_t>& dims, float value) {
  onnx::TensorProto& made = tensor(dims);
  const int64_t elements = dims.empty() ? 1 : dims.front();
  for (int64_t i = 0; i < elements; ++i) made.add_float_data(value);
  return made.name();
}

// Random, and of a size that keeps activations and gradients as large as they are: numbers that
// vanish would be denormal in the end, and those are slow.
std::string ModelWriter::weight(const std::vector<int64_t>& dims) {
  onnx::TensorProto& made = tensor(dims);
  int64_t inputs = 1;  // of an output
  for (size_t i = 1; i < dims.size(); ++i) inputs *= dims[i];
  const double range = std::sqrt(6.0 / static_cast<double>(inputs));
  for (int64_t i = 0; i < dims.front() * inputs; ++i)
    made.add_float_data(
        static_cast<float>(range * (static_cast<double>(random_.next() >> 11) * 0x1p-52 - 1)));
  return made.name();
}

}  // namespace attune
