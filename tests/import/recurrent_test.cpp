// LSTM, GRU and RNN nodes: outputs and gradients are PyTorch's; what is in the node's own order is
// trained there.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "graph/training/autodiff.h"
#include "tests/graph/support.h"
#include "tests/support/onnx_builder.h"

namespace attune {
namespace {

struct Reference {
  struct Dots {
    std::string name;
    double cosines, sines;
  };
  std::string name, op, direction;
  std::vector<std::pair<const char*, int64_t>> ints;
  float clip;
  std::vector<std::string> activations;
  std::vector<float> alpha, beta;
  std::vector<int64_t> lengths;
  std::vector<std::pair<std::string, std::vector<int64_t>>> tensors;
  std::vector<Dots> found;

  bool has(const std::string& tensor) const {
    for (const auto& [name, dims] : tensors)
      if (name == tensor) return true;
    return false;
  }
};
const std::vector<Reference> kReferences = {
#include "tests/import/recurrent_reference.inc"
};

// Element i of the k-th tensor.
float wave(size_t k, size_t i) {
  return static_cast<float>(
      0.8 * std::sin((0.7 + 0.3 * static_cast<double>(k)) * static_cast<double>(i + 1)));
}

void set_node(const Reference& of, onnx::NodeProto& node) {
  set_int(node, "hidden_size", 2);
  set_text(node, "direction", of.direction);
  for (const auto& [key, value] : of.ints) set_int(node, key, value);
  if (of.clip != 0) set_float(node, "clip", of.clip);
  const auto list = [&](const char* name, onnx::AttributeProto::AttributeType type) {
    auto* attribute = node.add_attribute();
    attribute->set_name(name);
    attribute->set_type(type);
    return attribute;
  };
  if (!of.activations.empty()) {
    auto* names = list("activations", onnx::AttributeProto::STRINGS);
    for (const std::string& name : of.activations) names->add_strings(name);
  }
  for (const auto& [key, values] :
       {std::pair("activation_alpha", &of.alpha), std::pair("activation_beta", &of.beta)}) {
    if (values->empty()) continue;
    auto* reals = list(key, onnx::AttributeProto::FLOATS);
    for (const float value : *values) reals->add_floats(value);
  }
}

// The node alone; the lengths are an initializer, or an input.
OnnxBuilder model_of(const Reference& of, bool lengths_known) {
  OnnxBuilder b;
  for (size_t k = 0; k < of.tensors.size(); ++k) {
    const auto& [name, dims] = of.tensors[k];
    if (name == "X") {
      b.input(name, dims);
      continue;
    }
    b.tensor(name, dims);
    auto& made = *b.proto().mutable_graph()->mutable_initializer()->rbegin();
    for (int i = 0; i < made.float_data_size(); ++i)
      made.set_float_data(i, wave(k, static_cast<size_t>(i)));
  }
  if (!of.lengths.empty()) {
    if (lengths_known)
      b.ints("lengths", of.lengths);
    else
      b.int_input("lengths", {3});
  }
  std::vector<std::string> inputs = {"X", "W", "R"};
  const auto name = [&](const char* input) { return of.has(input) ? input : ""; };
  inputs.insert(inputs.end(), {name("B"), of.lengths.empty() ? "" : "lengths", name("initial_h")});
  if (of.op == "LSTM") inputs.insert(inputs.end(), {name("initial_c"), name("P")});
  std::vector<std::string> outputs = {"Y", "Y_h"};
  if (of.op == "LSTM") outputs.push_back("Y_c");
  set_node(of, b.node(of.op, inputs, outputs));
  for (const std::string& output : outputs) b.output(output);
  return b;
}

Graph imported(const OnnxBuilder& b) {
  ImportOptions options;
  options.real = DType::f64;
  options.batch = 0;
  return b.import(options);
}

double dot(const std::vector<double>& x, double (*by)(double)) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += x[i] * by(static_cast<double>(i + 1));
  return sum;
}

// Every tensor of the reference: outputs, and gradients where the loss is the outputs times
// cosines.
void check(const Reference& of, bool lengths_known) {
  CAPTURE(of.name);
  CAPTURE(lengths_known);
  Graph graph = imported(model_of(of, lengths_known));
  graph.verify();
  std::map<std::string, ValueId> tensors, grads;
  std::vector<ValueId> wanted = {graph.input("X")};
  tensors["X"] = graph.input("X");
  for (size_t v = 0; v < graph.values.size(); ++v) {
    if (graph.values[v].role != Role::parameter) continue;
    tensors[graph.values[v].origin.tensor] = static_cast<ValueId>(v);
    wanted.push_back(static_cast<ValueId>(v));
  }
  std::map<ValueId, ValueId> seeds;
  for (const Port& port : graph.outputs) {
    const Shape shape = graph.shape(port.value);
    std::vector<double> cosines;
    for (int64_t i = 1; i <= shape.elements(); ++i)
      cosines.push_back(std::cos(static_cast<double>(i)));
    seeds[port.value] = graph.add_constant("seed", shape, std::move(cosines));
  }
  for (const auto& [value, grad] : differentiate(graph, seeds, wanted))
    for (const auto& [name, id] : tensors)
      if (id == value) grads[name] = grad;
  graph.verify();
  std::vector<double> x;
  for (int64_t i = 0; i < graph.shape(graph.input("X")).elements(); ++i)
    x.push_back(wave(0, static_cast<size_t>(i)));
  std::map<std::string, HostTensor> inputs = {
      {"X", HostTensor::of_reals(DType::f64, graph.shape(graph.input("X")), x)}};
  if (graph.input("lengths") != kNone)
    inputs["lengths"] = HostTensor::of_ints(DType::i32, {3}, of.lengths);
  const std::vector<HostTensor> values = interpret(graph, inputs);
  for (const auto& [name, cosines, sines] : of.found) {
    CAPTURE(name);
    const bool is_grad = name.starts_with("grad ");
    const ValueId id = is_grad ? grads[name.substr(5)] : graph.output(name);
    REQUIRE(id != kNone);
    const std::vector<double> got = values[static_cast<size_t>(id)].reals();
    CHECK(std::fabs(dot(got, std::cos) - cosines) < 1e-6);
    CHECK(std::fabs(dot(got, std::sin) - sines) < 1e-6);
  }
}

bool is_unrolled(const Graph& graph) {
  return count_ops(graph, Op::lstm) + count_ops(graph, Op::gru) + count_ops(graph, Op::rnn) == 0;
}

}  // namespace

TEST_CASE("recurrent nodes and their gradients are PyTorch's") {
  for (const Reference& of : kReferences) check(of, true);
}

TEST_CASE("lengths that are an input give what constant ones do") {
  int checked = 0;
  for (const Reference& of : kReferences) {
    if (of.lengths.empty()) continue;
    if (is_unrolled(imported(model_of(of, true)))) {
      CAPTURE(of.name);
      const std::string error = error_of([&] { imported(model_of(of, false)); });
      CHECK(contains(error, "lengths that are an input"));
      continue;
    }
    check(of, false);
    ++checked;
  }
  CHECK(checked >= 5);
}

TEST_CASE("what is usual is one operator; lengths that are whole, and zeros, are nothing") {
  for (const Reference& of : kReferences) {
    CAPTURE(of.name);
    const Graph graph = imported(model_of(of, true));
    const bool unusual =
        of.clip != 0 || of.has("P") || (!of.activations.empty() && of.activations[0] != "Relu");
    CHECK(is_unrolled(graph) == unusual);
    if (of.name != "lstm, all lengths whole") continue;
    CHECK(find_node(graph, Op::lstm)->input(5) == kNone);
  }
  OnnxBuilder b;
  b.input("X", {4, 3, 3}).tensor("W", {1, 8, 3}).tensor("R", {1, 8, 2}).output("Y");
  b.tensor("zeros", {1, 3, 2}, 0, 0).tensor("none", {1, 6}, 0, 0);
  b.node("LSTM", {"X", "W", "R", "", "", "zeros", "zeros", "none"}, {"Y"});
  const Graph graph = imported(b);
  REQUIRE(find_node(graph, Op::lstm) != nullptr);
  CHECK(find_node(graph, Op::lstm)->input(3) == kNone);
  CHECK(find_node(graph, Op::lstm)->input(4) == kNone);
}

TEST_CASE("weights that the file puts together from others train these") {
  // As PyTorch exports larger layers: gates i, f, g, o in the order i, o, f, g.
  OnnxBuilder b;
  b.input("X", {4, 3, 3}).tensor("W", {1, 8, 3}, 0.3f, -0.02f).tensor("hh", {8, 2}, -0.2f, 0.03f);
  b.output("Y");
  std::vector<std::string> parts;
  for (const int gate : {0, 3, 1, 2}) {
    const std::string name = "gate" + std::to_string(gate);
    b.ints(name + "_from", {gate * 2}).ints(name + "_to", {gate * 2 + 2});
    b.ints(name + "_axis", {0});
    b.node("Slice", {"hh", name + "_from", name + "_to", name + "_axis"}, {name});
    parts.push_back(name);
  }
  set_int(b.node("Concat", parts, {"rows"}), "axis", 0);
  b.ints("first", {0});
  b.node("Unsqueeze", {"rows", "first"}, {"R"});
  b.node("LSTM", {"X", "W", "R"}, {"Y"});
  Graph graph = imported(b);
  graph.verify();
  std::vector<ValueId> trained;
  std::vector<std::string> names;
  for (size_t v = 0; v < graph.values.size(); ++v) {
    if (graph.values[v].role != Role::parameter) continue;
    names.push_back(graph.values[v].origin.tensor);
    trained.push_back(static_cast<ValueId>(v));
  }
  std::sort(names.begin(), names.end());
  CHECK(names == std::vector<std::string>{"W", "hh"});
  Value& input = graph.value(graph.input("X"));
  input.role = Role::parameter;
  input.data = Data::of_reals(test::spread(36, 1));
  const ValueId y = graph.output("Y");
  graph.inputs.clear();
  graph.outputs.clear();
  test::check_gradients(graph, y, trained);
}

TEST_CASE("what a recurrent node cannot be is refused, with what is wrong") {
  struct Row {
    const char* op;
    std::function<void(OnnxBuilder&, onnx::NodeProto&)> change;
    const char* error;
  };
  const auto strings = [](onnx::NodeProto& node, const std::vector<std::string>& values) {
    auto* attribute = node.add_attribute();
    attribute->set_name("activations");
    attribute->set_type(onnx::AttributeProto::STRINGS);
    for (const std::string& value : values) attribute->add_strings(value);
  };
  const Row rows[] = {
      {"RNN", [&](auto&, auto& node) { strings(node, {"Sine"}); }, "activation sine"},
      {"RNN",
       [&](auto&, auto& node) {
         strings(node, {"Tanh", "Tanh"});
       },
       "2 activations, not 1"},
      {"RNN", [&](auto&, auto& node) { set_text(node, "direction", "sideways"); }, "sideways"},
      {"RNN", [&](auto&, auto& node) { set_int(node, "hidden_size", 4); }, "weight has shape"},
      {"RNN", [&](auto&, auto& node) { node.set_input(1, "R"); }, "weight has shape"},
      {"RNN",
       [&](auto& b, auto& node) {
         b.ints("lengths", {1, 2});
         node.add_input(""), node.add_input("lengths");
       },
       "lengths have shape"},
      {"RNN",
       [&](auto& b, auto& node) {
         b.tensor("h", {1, 4, 2});
         for (const char* name : {"", "", "h"}) node.add_input(name);
       },
       "initial_state has shape"},
      {"RNN",
       [&](auto& b, auto& node) {
         b.proto()
             .mutable_graph()
             ->mutable_input(0)
             ->mutable_type()
             ->mutable_tensor_type()
             ->mutable_shape()
             ->mutable_dim(0)
             ->set_dim_value(300);
         set_float(node, "clip", 1);
       },
       "300 steps are more than 256"},
  };
  for (const Row& row : rows) {
    OnnxBuilder b;
    b.input("X", {4, 3, 3}).tensor("W", {1, 2, 3}).tensor("R", {1, 2, 2}).output("Y");
    auto& node = b.node(row.op, {"X", "W", "R"}, {"Y"});
    row.change(b, node);
    CAPTURE(row.error);
    CHECK(contains(error_of([&] { imported(b); }), row.error));
  }
}

}  // namespace attune
