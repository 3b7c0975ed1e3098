// Real models, against logits that PyTorch computed (golden_logits.py).
#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>

#include "graph/ir/interpret.h"
#include "graph/passes/passes.h"
#include "tests/support/onnx_builder.h"

namespace attune {
namespace {

namespace fs = std::filesystem;
const fs::path kModels = fs::path(ATTUNE_SOURCE_DIR) / "../shared/models";

struct Golden {
  const char* file;
  size_t count;
  double sum, sum_of_squares;
  std::vector<double> first;
};
const std::vector<Golden> kGolden = {
#include "tests/import/golden_logits.inc"
};

// burn_mnist ends in a LogSoftmax, which is not supported: its logits are the output then.
OnnxModel golden_model(const std::string& file) {
  if (file != "mnist.onnx") return OnnxModel::load((kModels / file).string());
  OnnxModel whole = OnnxModel::load((kModels / "burn_mnist" / file).string());
  onnx::ModelProto proto = whole.proto();
  proto.mutable_graph()->mutable_node()->RemoveLast();
  proto.mutable_graph()->mutable_output(0)->set_name(
      proto.graph().node(proto.graph().node_size() - 1).output(0));
  return OnnxModel::parse(proto.SerializeAsString(), file);
}

bool have_models() {
  if (fs::exists(kModels / "mcunet-5fps-f32.onnx")) return true;
  MESSAGE("skipped: there is no " << kModels.string());
  return false;
}

std::vector<double> logits_of(const Graph& graph) {
  const ValueId x = graph.inputs.at(0).value;
  std::vector<double> elements(graph.shape(x).elements());
  for (size_t i = 0; i < elements.size(); ++i) elements[i] = test_element(static_cast<int64_t>(i));
  const auto values = interpret(
      graph, {{graph.inputs[0].name, HostTensor::of_reals(graph.real, graph.shape(x), elements)}});
  return values[graph.outputs.at(0).value].reals();
}

void check_logits(const std::vector<double>& got, const Golden& want, double tolerance) {
  REQUIRE(got.size() == want.count);
  for (size_t i = 0; i < want.first.size(); ++i)
    CHECK(std::fabs(got[i] - want.first[i]) <= tolerance);
  const double scale = static_cast<double>(want.count);
  CHECK(std::fabs(std::accumulate(got.begin(), got.end(), 0.0) - want.sum) <= tolerance * scale);
  CHECK(std::fabs(std::inner_product(got.begin(), got.end(), got.begin(), 0.0) -
                  want.sum_of_squares) <= 10 * tolerance * scale);
}

}  // namespace

TEST_CASE("real models compute the logits that PyTorch computes") {
  if (!have_models()) return;
  for (const Golden& golden : kGolden) {
    CAPTURE(std::string(golden.file));
    const OnnxModel model = golden_model(golden.file);
    ImportOptions options;
    options.real = DType::f64;
    Graph graph = model.import(options);
    graph.verify();
    to_channels_last(graph);
    graph.verify();
    fold_constants(graph);
    graph.verify();
    check_logits(logits_of(graph), golden, 1e-10);
    options.real = DType::f32;
    graph = model.import(options);
    to_channels_last(graph);
    check_logits(logits_of(graph), golden, 2e-5);
  }
}

TEST_CASE("real models keep no transpose but the input's and that of a spatial flatten") {
  if (!have_models()) return;
  for (const Golden& golden : kGolden) {
    CAPTURE(std::string(golden.file));
    ImportOptions options;
    options.batch = 3;
    Graph graph = golden_model(golden.file).import(options);
    to_channels_last(graph);
    // An image of one channel is NHWC by a reshape alone. MNIST flattens 22x22 elements a channel.
    const bool one_channel = graph.shape(graph.inputs[0].value)[1] == 1;
    const int flatten = std::string(golden.file) == "mnist.onnx" ? 1 : 0;
    CHECK(count_ops(graph, Op::transpose) == (one_channel ? 0 : 1) + flatten);
    CHECK(graph.nodes[0].op == (one_channel ? Op::reshape : Op::transpose));
    CHECK(graph.nodes[0].inputs[0] == graph.inputs[0].value);
    CHECK(count_ops(graph, Op::reshape) <= 2);
  }
}

TEST_CASE("every convolution of MCUNet is trainable and knows its tensor") {
  if (!have_models()) return;
  const OnnxModel model = golden_model("mcunet-5fps-f32.onnx");
  Graph graph = model.import({});
  int parameters = 0;
  for (const Value& value : graph.values) {
    if (value.role != Role::parameter) continue;
    ++parameters;
    CHECK(value.name == value.origin.tensor);
    CHECK(value.origin.view_shape.elements() == value.shape.elements());
    for (int i = 0; i < value.shape.rank; ++i)
      CHECK(value.shape[i] == value.origin.view_shape[value.origin.perm[i]]);
  }
  CHECK(parameters == 2 * 43);
  CHECK(count_ops(graph, Op::conv2d) + count_ops(graph, Op::depthwise_conv2d) == 43);
  CHECK(count_ops(graph, Op::depthwise_conv2d) == 14);
}

TEST_CASE("a quantized model is refused with its nodes listed") {
  if (!have_models()) return;
  const OnnxModel model = golden_model("mcunet-5fps-int8.onnx");
  const std::string error = error_of([&] { model.import({}); });
  CHECK(contains(error, "190 nodes cannot be imported"));
  CHECK(contains(error, "(DequantizeLinear): the operator is not supported"));
}

}  // namespace attune
