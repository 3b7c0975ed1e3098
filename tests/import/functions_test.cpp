// Functions of a model file are inlined, and so is the branch of an If that is taken.
#include <doctest/doctest.h>

#include "graph/ir/interpret.h"
#include "tests/graph/support.h"
#include "tests/support/onnx_builder.h"

namespace attune {
namespace {

std::vector<double> run(const OnnxBuilder& b, const std::vector<double>& x) {
  const int batch = static_cast<int>(x.size());
  const Graph graph = b.import({.real = DType::f64, .batch = batch, .input_shapes = {}});
  graph.verify();
  const auto values = interpret(graph, {{"x", HostTensor::of_reals(DType::f64, {batch}, x)}});
  return values[graph.output("y")].reals();
}

onnx::NodeProto& add_node(onnx::FunctionProto& f, const char* op, const char* input,
                          const char* output, const char* domain = "") {
  auto* node = f.add_node();
  node->set_op_type(op);
  node->set_domain(domain);
  node->add_input(input);
  node->add_output(output);
  return *node;
}

onnx::FunctionProto& add_function(OnnxBuilder& b, const char* name) {
  auto* f = b.proto().add_functions();
  f->set_name(name);
  f->set_domain("own");
  f->add_input("a");
  f->add_output("r");
  auto* opset = f->add_opset_import();
  opset->set_domain("");
  opset->set_version(b.proto().opset_import(0).version());
  return *f;
}

// leaky(a) = LeakyRelu(Neg(a)) with the call's slope; twice(a) = leaky(leaky(a)).
OnnxBuilder with_functions() {
  OnnxBuilder b;
  b.input("x", {-1}).output("y");
  auto& leaky = add_function(b, "leaky");
  leaky.add_attribute("slope");
  add_node(leaky, "Neg", "a", "n");
  auto* slope = add_node(leaky, "LeakyRelu", "n", "r").add_attribute();
  slope->set_name("alpha");
  slope->set_ref_attr_name("slope");
  slope->set_type(onnx::AttributeProto::FLOAT);
  auto& twice = add_function(b, "twice");
  set_float(add_node(twice, "leaky", "a", "n", "own"), "slope", 0.5f);
  add_node(twice, "leaky", "n", "r", "own");
  return b;
}

}  // namespace

TEST_CASE("functions are inlined, with the attributes of their calls, in each other, too") {
  OnnxBuilder one = with_functions();
  auto& call = one.node("leaky", {"x"}, {"y"});
  call.set_domain("own");
  set_float(call, "slope", 0.25f);
  CHECK(run(one, {-2, 4}) == std::vector<double>{2, -1});
  // Called twice, inner tensors have names of their own.
  OnnxBuilder two = with_functions();
  two.node("twice", {"x"}, {"m"}).set_domain("own");
  two.node("twice", {"m"}, {"z"}).set_domain("own");
  two.node("Neg", {"z"}, {"y"});
  // Without the attribute, LeakyRelu has its own default, 0.01.
  const auto y = run(two, {4});
  CHECK(std::fabs(y[0] - -4 * 0.25) < 1e-12);
}

TEST_CASE("a function that calls itself, or is of another opset, is an error") {
  OnnxBuilder loop;
  loop.input("x", {-1}).output("y");
  add_node(add_function(loop, "f"), "f", "a", "r", "own");
  loop.node("f", {"x"}, {"y"}).set_domain("own");
  CHECK(contains(error_of([&] { loop.import(); }), "function f calls itself"));
  OnnxBuilder old = with_functions();
  old.proto().mutable_functions(0)->mutable_opset_import(0)->set_version(9);
  auto& call = old.node("leaky", {"x"}, {"y"});
  call.set_domain("own");
  CHECK(contains(error_of([&] { old.import(); }), "function leaky is of opset 9"));
}

TEST_CASE("what a function lacks is listed under the name of its call") {
  OnnxBuilder b;
  b.input("x", {-1}).output("y");
  add_node(add_function(b, "f"), "Det", "a", "r").set_name("inner");
  b.node("f", {"x"}, {"y"}).set_domain("own");
  CHECK(
      contains(error_of([&] { b.import(); }), "y_node/inner (Det): the operator is not supported"));
}

namespace {

// Abs or Neg of x, by whether x has more than `limit` elements.
OnnxBuilder with_branches(int64_t limit, bool computed) {
  OnnxBuilder b;
  b.input("x", {-1}).output("y").ints("limit", {limit});
  b.node("Size", {"x"}, {"size"});
  if (computed)
    b.node("ReduceSum", {"x"}, {"asked"});
  else
    b.node("Greater", {"size", "limit"}, {"asked"});
  auto& node = b.node("If", {"asked"}, {"y"});
  for (const char* name : {"then_branch", "else_branch"}) {
    auto* attribute = node.add_attribute();
    attribute->set_name(name);
    attribute->set_type(onnx::AttributeProto::GRAPH);
    auto* branch = attribute->mutable_g();
    auto* inner = branch->add_node();
    inner->set_op_type(std::string(name) == "then_branch" ? "Abs" : "Neg");
    inner->add_input("x");
    inner->add_output("inner");
    branch->add_output()->set_name("inner");
  }
  return b;
}

}  // namespace

TEST_CASE("an If with a known condition is the branch that it takes; another one is refused") {
  CHECK(run(with_branches(1, false), {-2, 4}) == std::vector<double>{2, 4});
  CHECK(run(with_branches(3, false), {-2, 4}) == std::vector<double>{2, -4});
  CHECK(contains(error_of([] { with_branches(1, true).import(); }),
                 "y_node (If): its condition ('asked') is computed from the model's inputs"));
  OnnxBuilder lacking = with_branches(0, false);
  auto* node = lacking.proto().mutable_graph()->mutable_node(2);
  node->mutable_attribute(0)->mutable_g()->mutable_node(0)->set_op_type("Det");
  CHECK(contains(error_of([&] { lacking.import(); }),
                 "in its branch, inner (Det): the operator is not supported"));
}

}  // namespace attune
