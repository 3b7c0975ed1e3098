// Elementwise operators as imported: values and gradients at kinks and around them are PyTorch's
// (2.x, in double), and every reduction's gradient is that of finite differences.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "graph/ir/interpret.h"
#include "graph/training/autodiff.h"
#include "tests/graph/support.h"
#include "tests/support/onnx_builder.h"

namespace attune {
namespace {

using Reals = std::vector<double>;

const Reals kX = {-3, -1, -0.5, 0, 0.5, 1, 3};

struct Row {
  const char* op;
  std::function<void(onnx::NodeProto&)> attributes;
  std::vector<float> others;  // operands behind x, single numbers
  Reals y, dx;
};

const auto kPlain = [](onnx::NodeProto&) {};

const std::vector<Row>& rows() {
  static const std::vector<Row> all = {
      {"Gelu",
       kPlain,
       {},
       {-0.00404969409489, -0.158655253931, -0.154268769363, 0, 0.345731230637, 0.841344746069,
        2.99595030591},
       {-0.0119456472042, -0.0833154705877, 0.132504875344, 0.5, 0.867495124656, 1.08331547059,
        1.0119456472}},
      {"Gelu",
       [](auto& n) { set_text(n, "approximate", "tanh"); },
       {},
       {-0.00363739208177, -0.158808009392, -0.154285990175, 0, 0.345714009825, 0.841191990608,
        2.99636260792},
       {-0.011584166631, -0.0829640838458, 0.132630096465, 0.5, 0.867369903535, 1.08296408385,
        1.01158416663}},
      {"Elu",
       [](auto& n) { set_float(n, "alpha", 0.7f); },
       {},
       {-0.665149052142, -0.44248439118, -0.275428538201, 0, 0.5, 1, 3},
       {0.0348509478575, 0.25751560882, 0.424571461799, 0.7, 1, 1, 1}},
      {"Selu",
       kPlain,
       {},
       {-1.67056872877, -1.11133073781, -0.691758187803, 0, 0.525350493678, 1.05070098736,
        3.15210296207},
       {0.0875306120803, 0.646768603035, 1.06634115304, 1.75809934085, 1.05070098736, 1.05070098736,
        1.05070098736}},
      {"Celu",
       [](auto& n) { set_float(n, "alpha", 1.5f); },
       {},
       {-1.29699707515, -0.729874321451, -0.425203034139, 0, 0.5, 1, 3},
       {0.135335283237, 0.513417119033, 0.716531310574, 1, 1, 1, 1}},
      {"LeakyRelu",
       [](auto& n) { set_float(n, "alpha", 0.1f); },
       {},
       {-0.3, -0.1, -0.05, 0, 0.5, 1, 3},
       {0.1, 0.1, 0.1, 0.1, 1, 1, 1}},
      {"PRelu",
       kPlain,
       {0.25f},
       {-0.75, -0.25, -0.125, 0, 0.5, 1, 3},
       {0.25, 0.25, 0.25, 0.25, 1, 1, 1}},
      {"ThresholdedRelu", kPlain, {}, {0, 0, 0, 0, 0, 0, 3}, {0, 0, 0, 0, 0, 0, 1}},
      {"Mish",
       kPlain,
       {},
       {-0.145647461276, -0.303401461374, -0.220743774652, 0, 0.375245211305, 0.865098388267,
        2.98653500497},
       {-0.0933931145323, 0.0592167558774, 0.289510677914, 0.6, 0.886424375358, 1.0490362201,
        1.02110691093}},
      {"Softsign",
       kPlain,
       {},
       {-0.75, -0.5, -0.333333333333, 0, 0.333333333333, 0.5, 0.75},
       {0.0625, 0.25, 0.444444444444, 1, 0.444444444444, 0.25, 0.0625}},
      {"Swish",
       kPlain,
       {},
       {-0.142277619533, -0.26894142137, -0.188770334399, 0, 0.311229665601, 0.73105857863,
        2.85772238047},
       {-0.0881041060152, 0.0723294881285, 0.260038812697, 0.5, 0.739961187303, 0.927670511871,
        1.08810410602}},
      {"Shrink", kPlain, {}, {-3, -1, 0, 0, 0, 1, 3}, {1, 1, 0, 0, 0, 1, 1}},
      {"Shrink",
       [](auto& n) { set_float(n, "bias", 0.5f); },
       {},
       {-2.5, -0.5, 0, 0, 0, 0.5, 2.5},
       {1, 1, 0, 0, 0, 1, 1}},
      {"Abs", kPlain, {}, {3, 1, 0.5, 0, 0.5, 1, 3}, {-1, -1, -1, 0, 1, 1, 1}},
      {"Asinh",
       kPlain,
       {},
       {-1.81844645923, -0.88137358702, -0.48121182506, 0, 0.48121182506, 0.88137358702,
        1.81844645923},
       {0.316227766017, 0.707106781187, 0.894427191, 1, 0.894427191, 0.707106781187,
        0.316227766017}},
      {"Sinh",
       kPlain,
       {},
       {-10.0178749274, -1.17520119364, -0.521095305494, 0, 0.521095305494, 1.17520119364,
        10.0178749274},
       {10.0676619958, 1.54308063482, 1.12762596521, 1, 1.12762596521, 1.54308063482,
        10.0676619958}},
      {"Cosh",
       kPlain,
       {},
       {10.0676619958, 1.54308063482, 1.12762596521, 1, 1.12762596521, 1.54308063482,
        10.0676619958},
       {-10.0178749274, -1.17520119364, -0.521095305494, 0, 0.521095305494, 1.17520119364,
        10.0178749274}},
      {"Max", kPlain, {0.5f}, {0.5, 0.5, 0.5, 0.5, 0.5, 1, 3}, {0, 0, 0, 0, 0.5, 1, 1}},
      {"Min", kPlain, {0.5f}, {-3, -1, -0.5, 0, 0.5, 0.5, 0.5}, {1, 1, 1, 1, 0.5, 0, 0}},
      {"Pow", kPlain, {2}, {9, 1, 0.25, 0, 0.25, 1, 9}, {-6, -2, -1, 0, 1, 2, 6}},
      {"Pow", kPlain, {3}, {-27, -1, -0.125, 0, 0.125, 1, 27}, {27, 3, 0.75, 0, 0.75, 3, 27}},
      {"Pow",
       kPlain,
       {5},
       {-243, -1, -0.03125, 0, 0.03125, 1, 243},
       {405, 5, 0.3125, 0, 0.3125, 5, 405}},
  };
  return all;
}

// The graph with its input as a parameter, and the gradient of the sum of its output.
struct Differentiated {
  Reals y, dx;
};
Differentiated differentiated(const OnnxBuilder& b, const Reals& x) {
  const int batch = static_cast<int>(x.size());
  Graph graph = b.import({.real = DType::f64, .batch = batch, .input_shapes = {}});
  const ValueId input = graph.input("x"), y = graph.output("y");
  graph.value(input).role = Role::parameter;
  graph.value(input).data = Data::of_reals(x);
  graph.inputs.clear();
  const Shape shape = graph.shape(y);
  const ValueId dy = graph.add_constant("dy", shape, Reals(shape.elements(), 1));
  const auto gradients = differentiate(graph, {{y, dy}}, {input});
  graph.index();
  graph.verify();
  const auto values = interpret(graph, {});
  return {values[y].reals(), values[gradients.at(input)].reals()};
}

void check_close(const Reals& got, const Reals& want) {
  REQUIRE(got.size() == want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    const bool same =
        got[i] == want[i] || std::fabs(got[i] - want[i]) < 1e-7 * (1 + std::fabs(want[i]));
    CHECK_MESSAGE(same, got[i], " is not ", want[i]);
  }
}

}  // namespace

TEST_CASE("activations and their gradients are PyTorch's, at kinks, too") {
  for (const Row& row : rows()) {
    CAPTURE(std::string(row.op));
    OnnxBuilder b(24);
    b.input("x", {-1}).output("y");
    auto& node = b.node(row.op, {"x"}, {"y"});
    row.attributes(node);
    for (size_t i = 0; i < row.others.size(); ++i) {
      const std::string name = "onnx::c" + std::to_string(i);
      b.tensor(name, {1}, row.others[i]);
      node.add_input(name);
    }
    const Differentiated got = differentiated(b, kX);
    check_close(got.y, row.y);
    check_close(got.dx, row.dx);
  }
}

TEST_CASE("far from 0 no gradient is infinite times nothing") {
  for (const char* op : {"Elu", "Selu", "Celu", "Gelu", "Mish", "Swish", "Softplus"}) {
    CAPTURE(std::string(op));
    OnnxBuilder b(24);
    b.input("x", {-1}).output("y");
    b.node(op, {"x"}, {"y"});
    const Differentiated got = differentiated(b, {-1000, 1000});
    const double scale = std::string(op) == "Selu" ? 1.0507009873554805 : 1;
    CHECK(std::fabs(got.dx[0]) < 1e-7);
    CHECK(std::fabs(got.dx[1] - scale) < 1e-7);
  }
}

TEST_CASE("reductions have the gradients of finite differences, along any axes") {
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1",
                         "ReduceL2", "ReduceSumSquare", "ReduceLogSumExp", "ReduceProd"}) {
    for (const std::vector<int64_t>& axes :
         std::vector<std::vector<int64_t>>{{1}, {-1, 0}, {0, 1, 2}}) {
      for (const int64_t keep : {0, 1}) {
        CAPTURE(std::string(op));
        CAPTURE(axes.size());
        OnnxBuilder b(18);
        b.input("x", {2, 3, 2}).output("y").ints("axes", axes);
        set_int(b.node(op, {"x", "axes"}, {"y"}), "keepdims", keep);
        Graph graph = b.import({.real = DType::f64, .batch = 2, .input_shapes = {}});
        Value& input = graph.value(graph.input("x"));
        input.role = Role::parameter;
        Reals x(12);
        const double middle = std::string(op) == "ReduceProd" ? 1.5 : 0;
        for (size_t i = 0; i < x.size(); ++i) x[i] = middle + test_element(static_cast<int64_t>(i));
        input.data = Data::of_reals(x);
        const ValueId id = graph.input("x"), y = graph.output("y");
        graph.inputs.clear();
        graph.outputs.clear();
        test::check_gradients(graph, y, {id});
      }
    }
  }
}

TEST_CASE("a length has no gradient at 0, a logarithm of a sum survives infinities, ties share") {
  const auto reduced = [](const char* op, const Reals& x) {
    OnnxBuilder b(18);
    b.input("x", {-1}).output("y");
    b.node(op, {"x"}, {"y"});
    return differentiated(b, x);
  };
  const double inf = std::numeric_limits<double>::infinity();
  CHECK(reduced("ReduceL2", {0, 0, 0}).dx == Reals{0, 0, 0});
  check_close(reduced("ReduceL2", {3, 4}).dx, {0.6, 0.8});
  const Differentiated some = reduced("ReduceLogSumExp", {-inf, 1000, 1000});
  check_close(some.y, {1000 + std::log(2.0)});
  check_close(some.dx, {0, 0.5, 0.5});
  CHECK(reduced("ReduceLogSumExp", {-inf, -inf}).y == Reals{-inf});
  check_close(reduced("ReduceMax", {1, 3, 3}).dx, {0, 0.5, 0.5});
  check_close(reduced("ReduceProd", {0, 3, 0}).dx, {0, 0, 0});
  check_close(reduced("ReduceProd", {0, 3, 2}).dx, {6, 0, 0});
}

TEST_CASE("the slope of a PRelu and a parameter behind functions are trained, a number is not") {
  OnnxBuilder b;
  b.input("x", {-1, 3, 2, 2}).output("y").tensor("slope", {3, 1, 1}, 0.1f, 0.1f);
  b.node("PRelu", {"x", "slope"}, {"y"});
  const Graph graph = b.import();
  int parameters = 0;
  for (const Value& value : graph.values) parameters += value.role == Role::parameter;
  CHECK(parameters == 1);

  OnnxBuilder marked;
  marked.input("x", {-1, 4}).output("y").tensor("temperature", {}, 0.5f);
  auto* info = marked.proto().mutable_graph()->add_value_info();
  info->set_name("temperature");
  const auto mark = [&](const char* kind) {
    // The field "metadata_props" of a value, which older libraries do not know.
    onnx::StringStringEntryProto entry;
    entry.set_key("pkg.torch.export.graph_signature.InputSpec.kind");
    entry.set_value(kind);
    std::string bytes = info->SerializeAsString(), body = entry.SerializeAsString();
    bytes += static_cast<char>(4 << 3 | 2);
    bytes += static_cast<char>(body.size());
    info->ParseFromString(bytes + body);
  };
  mark("PARAMETER");
  marked.node("Exp", {"temperature"}, {"scale"});
  marked.node("Mul", {"x", "scale"}, {"y"});
  const Graph scaled = marked.import();
  parameters = 0;
  for (const Value& value : scaled.values) parameters += value.role == Role::parameter;
  CHECK(parameters == 1);
  CHECK(count_ops(scaled, Op::exp) == 1);
  CHECK(scaled.shape(scaled.output("y")) == Shape{1, 4});
}

TEST_CASE("comparisons and choices of computed integers, booleans and reals") {
  const auto of = [](const char* op, const std::vector<std::string>& inputs, bool cast) {
    OnnxBuilder b;
    b.input("x", {-1}).output("y").tensor("onnx::half", {}, 0.5f);
    b.node("Less", {"x", "onnx::half"}, {"low"});
    b.node("Greater", {"x", "onnx::minus"}, {"high"});
    b.tensor("onnx::minus", {}, -0.7f);
    b.node(op, inputs, {cast ? "b" : "y"});
    if (cast) set_int(b.node("Cast", {"b"}, {"y"}), "to", 1);
    const Graph graph =
        b.import({.real = DType::f64, .batch = static_cast<int>(kX.size()), .input_shapes = {}});
    const auto size = static_cast<int32_t>(kX.size());
    return interpret(graph,
                     {{"x", HostTensor::of_reals(DType::f64, {size}, kX)}})[graph.output("y")]
        .reals();
  };
  CHECK(of("And", {"low", "high"}, true) == Reals{0, 0, 1, 1, 0, 0, 0});
  CHECK(of("Or", {"low", "high"}, true) == Reals{1, 1, 1, 1, 1, 1, 1});
  CHECK(of("Xor", {"low", "high"}, true) == Reals{1, 1, 0, 0, 1, 1, 1});
  CHECK(of("Not", {"low"}, true) == Reals{0, 0, 0, 0, 1, 1, 1});
  CHECK(of("Where", {"low", "x", "onnx::half"}, false) == Reals{-3, -1, -0.5, 0, 0.5, 0.5, 0.5});
}

}  // namespace attune
