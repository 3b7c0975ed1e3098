#include "sparse_update/cost/representative.h"

#include <fmt/format.h>
#include <onnx/onnx_pb.h>

#include <cmath>

#include "engine/random.h"

namespace attune {
namespace {

// Writes a network layer by layer; each takes the output of the one before.
class NetworkWriter {
 public:
  explicit NetworkWriter(const std::vector<int64_t>& example) {
    proto_.set_ir_version(8);
    proto_.add_opset_import()->set_version(13);
    graph().set_name("network");
    auto* input = graph().add_input();
    input->set_name(at_ = "x");
    auto* type = input->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    type->mutable_shape()->add_dim()->set_dim_param("N");
    for (const int64_t d : example) type->mutable_shape()->add_dim()->set_dim_value(d);
    channels_ = example.front();
  }

  const std::string& at() const { return at_; }
  int64_t channels() const { return channels_; }

  struct Convolution {
    int kernel_h = 1, kernel_w = 1, stride = 1;
    bool depthwise = false, norm = false;
  };
  void convolution(int64_t outputs, const Convolution& c) {
    const int64_t groups = c.depthwise ? channels_ : 1;
    std::vector<std::string> inputs = {
        at_, weight({outputs, channels_ / groups, c.kernel_h, c.kernel_w})};
    if (!c.norm) inputs.push_back(filled({outputs}, 0));
    onnx::NodeProto& node = add("Conv", inputs);
    ints(node, "kernel_shape", {c.kernel_h, c.kernel_w});
    ints(node, "strides", {c.stride, c.stride});
    const int top = c.kernel_h / 2, left = c.kernel_w / 2;
    ints(node, "pads", {c.kernel_h - 1 - top, c.kernel_w - 1 - left, top, left});
    auto* group = node.add_attribute();
    group->set_name("group"), group->set_type(onnx::AttributeProto::INT), group->set_i(groups);
    channels_ = outputs;
    if (c.norm)
      add("BatchNormalization", {at_, filled({outputs}, 1), filled({outputs}, 0),
                                 filled({outputs}, 0), filled({outputs}, 1)});
  }
  void clamp6() { add("Clip", {at_, filled({}, 0), filled({}, 6)}); }
  void plain(const char* op) { add(op, {at_}); }
  void add_from(const std::string& value) { add("Add", {at_, value}); }
  void max_pool() {
    onnx::NodeProto& node = add("MaxPool", {at_});
    ints(node, "kernel_shape", {3, 3}), ints(node, "strides", {2, 2});
    ints(node, "pads", {1, 1, 1, 1});
  }
  void average_pool(int h, int w) {
    onnx::NodeProto& node = add("AveragePool", {at_});
    ints(node, "kernel_shape", {h, w}), ints(node, "strides", {h, w});
  }
  void linear(int64_t outputs) {
    onnx::NodeProto& node = add("Gemm", {at_, weight({outputs, channels_}), filled({outputs}, 0)});
    auto* transposed = node.add_attribute();
    transposed->set_name("transB"), transposed->set_type(onnx::AttributeProto::INT);
    transposed->set_i(1);
    channels_ = outputs;
  }
  void classifier(int64_t classes) {
    plain("GlobalAveragePool");
    plain("Flatten");
    linear(classes);
  }

  OnnxModel finish(const char* name) {
    graph().add_output()->set_name(at_);
    return OnnxModel::parse(proto_.SerializeAsString(), name);
  }

 private:
  onnx::GraphProto& graph() { return *proto_.mutable_graph(); }

  onnx::NodeProto& add(const char* op, const std::vector<std::string>& inputs) {
    onnx::NodeProto& node = *graph().add_node();
    node.set_op_type(op);
    for (const std::string& input : inputs) node.add_input(input);
    node.set_name(fmt::format("{}_{}", op, graph().node_size()));
    node.add_output(at_ = node.name() + "_y");
    return node;
  }
  onnx::TensorProto& tensor(const std::vector<int64_t>& dims) {
    auto& tensor = *graph().add_initializer();
    tensor.set_name(fmt::format("t{}", graph().initializer_size()));
    tensor.set_data_type(onnx::TensorProto::FLOAT);
    for (const int64_t d : dims) tensor.add_dims(d);
    return tensor;
  }
  std::string filled(const std::vector<int64_t>& dims, float value) {
    onnx::TensorProto& made = tensor(dims);
    const int64_t elements = dims.empty() ? 1 : dims.front();
    for (int64_t i = 0; i < elements; ++i) made.add_float_data(value);
    return made.name();
  }
  // Random, and of a size that keeps activations and gradients as large as they are: numbers that
  // vanish would be denormal in the end, and those are slow.
  std::string weight(const std::vector<int64_t>& dims) {
    onnx::TensorProto& made = tensor(dims);
    int64_t inputs = 1;  // of an output
    for (size_t i = 1; i < dims.size(); ++i) inputs *= dims[i];
    const double range = std::sqrt(6.0 / static_cast<double>(inputs));
    for (int64_t i = 0; i < dims.front() * inputs; ++i)
      made.add_float_data(
          static_cast<float>(range * (static_cast<double>(random_.next() >> 11) * 0x1p-52 - 1)));
    return made.name();
  }
  static void ints(onnx::NodeProto& node, const char* name, const std::vector<int64_t>& values) {
    auto* attribute = node.add_attribute();
    attribute->set_name(name), attribute->set_type(onnx::AttributeProto::INTS);
    for (const int64_t v : values) attribute->add_ints(v);
  }

  onnx::ModelProto proto_;
  Random random_{0, 0};
  std::string at_;
  int64_t channels_ = 0;
};

}  // namespace

OnnxModel mobile_network(const MobileNetwork& options) {
  NetworkWriter net({3, options.resolution, options.resolution});
  const bool norm = options.norms;
  const auto activate = [&] { options.hard_swish ? net.plain("HardSwish") : net.clamp6(); };
  net.convolution(options.widths.front(), {3, 3, 2, false, norm});
  activate();
  for (size_t stage = 0; stage < options.widths.size(); ++stage)
    for (int block = 0; block < options.blocks; ++block) {
      const std::string before = net.at();
      const int64_t inputs = net.channels(), outputs = options.widths[stage];
      const int stride = stage > 0 && block == 0 ? 2 : 1;
      net.convolution(inputs * options.expansion, {1, 1, 1, false, norm});
      activate();
      net.convolution(net.channels(), {options.kernel, options.kernel, stride, true, norm});
      activate();
      net.convolution(outputs, {1, 1, 1, false, norm});
      if (stride == 1 && inputs == outputs) net.add_from(before);
    }
  net.convolution(options.widths.back() * 4, {1, 1, 1, false, norm});
  activate();
  net.classifier(10);
  return net.finish("mobile");
}

OnnxModel residual_network(int resolution, const std::vector<int>& widths) {
  NetworkWriter net({3, resolution, resolution});
  net.convolution(widths.front(), {7, 7, 2});
  net.plain("Relu");
  net.max_pool();
  for (size_t stage = 0; stage < widths.size(); ++stage) {
    if (stage > 0) {
      net.convolution(widths[stage], {3, 3, 2});
      net.plain("Relu");
    }
    const std::string before = net.at();
    net.convolution(widths[stage], {3, 3, 1});
    net.plain("Relu");
    net.convolution(widths[stage], {3, 3, 1});
    net.add_from(before);
    net.plain("Relu");
  }
  net.classifier(10);
  return net.finish("residual");
}

OnnxModel keyword_network(int width) {
  NetworkWriter net({1, 49, 10});
  net.convolution(width, {10, 4, 2});
  net.plain("Relu");
  for (int block = 0; block < 3; ++block) {
    net.convolution(width, {3, 3, 1, true, true});
    net.plain("Relu");
    net.convolution(width, {1, 1, 1, false, true});
    net.plain("Relu");
  }
  net.average_pool(24, 5);
  net.plain("Flatten");
  net.linear(10);
  return net.finish("keywords");
}

OnnxModel dense_network(const std::vector<int>& widths) {
  NetworkWriter net({widths.front()});
  for (size_t i = 1; i < widths.size(); ++i) {
    net.linear(widths[i]);
    if (i + 1 < widths.size()) net.plain("Relu");
  }
  return net.finish("dense");
}

std::vector<RepresentativePlan> representative_plans() {
  std::vector<RepresentativePlan> plans;
  const auto add = [&](const OnnxModel& model, const std::string& name, const std::string& scheme,
                       int batch, OptimizerKind optimizer = OptimizerKind::momentum,
                       CompileOptions options = {}) {
    options.scheme = scheme;
    options.batch = batch;
    options.optimizer.kind = optimizer;
    const std::string shown = scheme.starts_with('{') ? "slices" : scheme;
    plans.push_back({fmt::format("{}, {}, batch {}", name, shown, batch), model, options});
  };
  const std::string half = R"({"bias_last": 20, "layers": [{"layer": 10, "input_channels": 0.5},
      {"layer": 13, "input_channels": 0.25}, {"layer": 16, "input_channels": 0.5},
      {"layer": 17, "output_channels": 0.5}, {"layer": 19, "input_channels": 0.5},
      {"layer": 22}, {"layer": 25, "input_channels": 0.125}]})";
  const OnnxModel narrow = mobile_network({128, {8, 16, 24, 40, 56, 96}, 4, 3, 2, false, false});
  const OnnxModel wide = mobile_network({224, {16, 24, 32, 64, 96, 320}, 6, 3, 2, true, false});
  const OnnxModel fives = mobile_network({96, {16, 24, 40, 72, 112}, 5, 5, 2, true, true});
  const OnnxModel sevens = mobile_network({160, {16, 24, 40, 80, 96}, 3, 7, 1, false, false});
  for (const int batch : {1, 8}) {
    add(narrow, "narrow mobile network", "full", batch);
    add(narrow, "narrow mobile network", half, batch);
    add(wide, "wide mobile network", "full", batch);
    add(wide, "wide mobile network", "bias:12", batch);
    add(fives, "mobile network of 5x5", "full", batch, OptimizerKind::adam);
    add(fives, "mobile network of 5x5", half, batch, OptimizerKind::adam);
    add(sevens, "mobile network of 7x7", "full", batch, OptimizerKind::sgd);
    add(residual_network(96, {32, 64, 128, 256}), "residual network", "full", batch);
    add(keyword_network(64), "keyword network", "full", batch);
    add(keyword_network(32), "keyword network", "last:3", batch);
    add(dense_network({784, 512, 256, 10}), "dense network", "full", batch);
  }
  const auto in_little_memory = [&](int side, bool bytes) {
    CompileOptions options;
    options.tile = options.split_gradients = true;
    if (bytes) {
      options.preprocess.front_end = FrontEnd::image;
      options.preprocess.image.width = options.preprocess.image.height = side;
    }
    return options;
  };
  CompileOptions masks;
  masks.remake_masks = true;
  add(narrow, "narrow mobile network, masks made again", "full", 1, OptimizerKind::sgd, masks);
  add(narrow, "narrow mobile network in little memory", half, 1, OptimizerKind::sgd,
      in_little_memory(128, true));
  add(fives, "mobile network of 5x5 in little memory", half, 1, OptimizerKind::momentum,
      in_little_memory(96, false));
  add(residual_network(64, {16, 32, 64}), "residual network", "last:2", 32);
  add(dense_network({128, 1024, 1024, 10}), "dense network", "full", 64, OptimizerKind::adam);
  return plans;
}

}  // namespace attune
