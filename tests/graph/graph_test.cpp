#include "graph/ir/graph.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "graph/rules/rules.h"
#include "tests/graph/support.h"

namespace attune::test {
namespace {

// x[2,3] -> linear -> clamp -> y, with an SGD step.
struct Small {
  Graph g;
  ValueId x, w, lr, hidden, y, dw, updated;
  Small() {
    x = g.add_input("x", DType::f32, {2, 3});
    lr = g.add_input("learning_rate", DType::f32, {1});
    w = add_parameter(g, "w", {4, 3}, 1);
    hidden = g.emit(Op::linear, LinearAttrs{}, {x, w}, "hidden");
    y = g.emit(Op::clamp, ClampAttrs{.min = 0}, {hidden}, "y");
    dw = g.emit(Op::matmul, MatmulAttrs{.transpose_a = true}, {y, x}, "dw");
    updated = g.emit(Op::sgd, SgdAttrs{.weight_decay = 0.5}, {w, dw, lr}, "step");
    g.outputs = {{"output", y}};
  }
};

std::string verify_error(const Graph& graph) {
  return error_of([&] { graph.verify(); });
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a graph prints one line a node") {
  Small s;
  s.g.want_output(s.g.nodes[1], 1);
  s.g.verify();
  CHECK(s.g.text() == R"(input x: %x f32[2,3]
input learning_rate: %learning_rate f32[1]
parameter %w f32[4,3]
%hidden f32[2,4] = linear(%x, %w)
%y f32[2,4], %y:1 mask[2,4] = clamp(%hidden) min=0
%dw f32[4,3] = matmul(%y, %x) transpose_a=true
%step f32[4,3] over %w = sgd(%w, %dw, %learning_rate) weight_decay=0.5
output output: %y
)");
}

TEST_CASE("names are made unique, and stay so when values are renamed") {
  Graph g;
  const ValueId a = g.add_constant("a", {}, {1});
  CHECK(g.value(a).name == "a");
  CHECK(g.value(g.add_constant("a", {}, {1})).name == "a.2");
  CHECK(g.value(g.add_constant("a", {}, {1})).name == "a.3");
  CHECK(g.value(g.add_constant("", {}, {1})).name == "value.2");
  g.value(a).name = "b";  // behind the graph's back
  const ValueId b = g.add_constant("c", {}, {1});
  g.rename(b, "a.2");
  CHECK(g.value(b).name == "a.2.2");
  g.rename(b, "a.2.2");
  CHECK(g.value(b).name == "a.2.2");
  g.rename(b, "fresh");
  CHECK(g.value(g.add_constant("a.2.2", {}, {1})).name == "a.2.2");
  CHECK(verify_error(g).empty());
  g.value(b).name = "a.3";
  CHECK(contains(verify_error(g), "two values named 'a.3'"));

  Graph copy = g;  // a copy has names of its own
  copy.add_constant("only here", {}, {1});
  CHECK(g.value(g.add_constant("only here", {}, {1})).name == "only here");
}

TEST_CASE("values of impossible shapes are refused") {
  Graph g;
  CHECK(contains(error_of([&] { g.add_input("x", DType::f32, {65536, 65536}); }), "2^31"));
  CHECK(contains(error_of([&] { g.add_input("x", DType::f32, {2, -1}); }), "negative size"));
  Shape deep;
  deep.rank = 7;
  CHECK(contains(error_of([&] { g.add_input("x", DType::f32, deep); }), "rank 7"));
  CHECK(contains(error_of([&] { g.add_constant("c", {2}, {1}); }), "1 elements for [2]"));
  g.add_input("x", DType::f32, {1});
  CHECK(contains(error_of([&] { g.add_input("x", DType::f32, {1}); }), "two inputs named 'x'"));
}

TEST_CASE("make describes updates and optional outputs") {
  Small s;
  CHECK(s.g.value(s.updated).updates == s.w);
  CHECK(s.g.value(s.updated).role == Role::temporary);
  CHECK(s.g.value(s.y).producer == 1);
  const Node both = s.g.make(Op::clamp, ClampAttrs{.min = 0}, {s.hidden}, "both", nullptr, 2);
  CHECK(s.g.value(both.outputs[1]).dtype == DType::mask);
  CHECK(s.g.nodes.size() == 4);
  const ValueId mask = s.g.want_output(s.g.nodes[1], 1);
  CHECK(s.g.want_output(s.g.nodes[1], 1) == mask);
  CHECK(s.g.value(mask).producer == 1);
  CHECK(contains(error_of([&] { s.g.want_output(s.g.nodes[0], 2); }), "no output 2"));
  CHECK(contains(error_of([&] { s.g.make(Op::tanh, NoAttrs{}, {s.x}, "t", nullptr, 2); }),
                 "2 outputs, where it has 1 to 1"));
  const ValueId m = add_state(s.g, "m", {4, 3}), v = add_state(s.g, "v", {4, 3});
  const ValueId step = s.g.add_input("step", DType::i32, {1});
  s.g.emit(Op::adam, AdamAttrs{}, {s.updated, s.dw, s.lr, kNone, m, v, step}, "adam");
  CHECK(s.g.nodes.back().outputs.size() == 3);
  CHECK(s.g.value(s.g.nodes.back().outputs[0]).updates == s.updated);
  CHECK(s.g.value(s.g.nodes.back().outputs[2]).updates == v);
  CHECK(verify_error(s.g).empty());
}

TEST_CASE("readers, ports and replace_uses") {
  Small s;
  CHECK(s.g.readers()[s.x] == std::vector<NodeId>{0, 2});
  CHECK(s.g.readers()[s.updated].empty());
  CHECK(s.g.input("x") == s.x);
  CHECK(s.g.input("nothing") == kNone);
  CHECK(s.g.output("output") == s.y);
  CHECK(s.g.output("x") == kNone);
  CHECK(s.g.is_output(s.y));
  s.g.replace_uses(s.y, s.hidden);
  CHECK(s.g.is_output(s.hidden));
  CHECK(s.g.readers()[s.y].empty());
  CHECK(s.g.nodes[2].inputs[0] == s.hidden);
  CHECK(verify_error(s.g).empty());
  const ValueId w = add_parameter(s.g, "w", {4, 3}, 1);
  s.g.replace_uses(s.w, w);
  CHECK(s.g.value(s.updated).updates == w);
  CHECK(verify_error(s.g).empty());
}

TEST_CASE("verify finds what a wrong pass may do") {
  Small s;
  REQUIRE(verify_error(s.g).empty());
  SUBCASE("order") {
    std::swap(s.g.nodes[0], s.g.nodes[1]);
    CHECK(contains(verify_error(s.g), "clamp 'y' reads 'hidden' before it is made"));
  }
  SUBCASE("a read after the update") {
    std::swap(s.g.nodes[2], s.g.nodes[3]);
    s.g.nodes[2].inputs[1] = s.w;
    s.g.nodes.push_back(s.g.make(Op::scale, ScaleAttrs{}, {s.w}, "late"));
    CHECK(contains(verify_error(s.g), "scale 'late' reads 'w' after its update"));
  }
  SUBCASE("two updates of one value") {
    s.g.emit(Op::sgd, SgdAttrs{}, {s.w, s.dw, s.lr}, "again");
    CHECK(contains(verify_error(s.g), "sgd 'again' reads 'w' after its update"));
  }
  SUBCASE("an update of a constant") {
    s.g.value(s.w).role = Role::constant;
    CHECK(contains(verify_error(s.g), "updates 'w', which is neither a parameter nor state"));
  }
  SUBCASE("an update of an output") {
    s.g.outputs.push_back({"w", s.w});
    CHECK(contains(verify_error(s.g), "overwrites 'w', an output of the graph"));
  }
  SUBCASE("an update that does not say so") {
    s.g.value(s.updated).updates = kNone;
    CHECK(contains(verify_error(s.g), "does not name the value it updates"));
  }
  SUBCASE("shape") {
    s.g.value(s.hidden).shape = {2, 5};
    CHECK(contains(verify_error(s.g), "output 'hidden' is f32[2,5], not f32[2,4]"));
  }
  SUBCASE("dtype") {
    s.g.value(s.y).dtype = DType::f64;
    CHECK(contains(verify_error(s.g), "output 'y' is f64[2,4], not f32[2,4]"));
  }
  SUBCASE("attributes") {
    s.g.nodes[1].attrs = NoAttrs{};
    CHECK(contains(verify_error(s.g), "attributes of another operator"));
  }
  SUBCASE("arity") {
    s.g.nodes[0].inputs = {s.x};
    CHECK(contains(verify_error(s.g), "1 inputs, where it takes 2 to 3"));
  }
  SUBCASE("a missing input") {
    s.g.nodes[0].inputs[1] = kNone;
    CHECK(contains(verify_error(s.g), "input 1 is missing"));
  }
  SUBCASE("a value that does not exist") {
    s.g.nodes[0].inputs[1] = 1000;
    CHECK(contains(verify_error(s.g), "no value 1000"));
  }
  SUBCASE("two makers") {
    s.g.nodes.insert(s.g.nodes.begin(), s.g.nodes[0]);
    CHECK(contains(verify_error(s.g), "two nodes make 'hidden'"));
  }
  SUBCASE("a node that makes a parameter") {
    s.g.nodes[2].outputs[0] = s.w;
    CHECK(contains(verify_error(s.g), "writes 'w', which is no temporary"));
  }
  SUBCASE("no output") {
    s.g.nodes[1].outputs[0] = kNone;
    CHECK(contains(verify_error(s.g), "has no output 0"));
  }
  SUBCASE("too many outputs") {
    s.g.nodes[2].outputs.push_back(kNone);
    CHECK(contains(verify_error(s.g), "2 outputs, where it has 1"));
  }
  SUBCASE("an output that nothing makes") {
    s.g.nodes.clear();
    CHECK(contains(verify_error(s.g), "output port 'output': nothing makes 'y'"));
  }
  SUBCASE("two ports of a name") {
    s.g.outputs.push_back(s.g.outputs[0]);
    CHECK(contains(verify_error(s.g), "two output ports 'output'"));
  }
  SUBCASE("an input without a port") {
    s.g.inputs.erase(s.g.inputs.begin());
    CHECK(contains(verify_error(s.g), "linear 'hidden' reads 'x' before it is made"));
  }
  SUBCASE("a port that is no input") {
    s.g.inputs.push_back({"w", s.w});
    CHECK(contains(verify_error(s.g), "input port 'w': 'w' is not an input"));
  }
  SUBCASE("data of the wrong size") {
    s.g.value(s.w).data = Data::of_reals({1, 2});
    CHECK(contains(verify_error(s.g), "2 reals"));
  }
  SUBCASE("integers for reals") {
    s.g.value(s.w).data = Data::of_ints(std::vector<int64_t>(12, 1));
    CHECK(contains(verify_error(s.g), "12 integers"));
  }
  SUBCASE("no data") {
    s.g.value(s.w).data = nullptr;
    CHECK(contains(verify_error(s.g), "value 'w' has no data"));
  }
}

TEST_CASE("attributes encode every field and print those that are set") {
  std::vector<int32_t> ints;
  std::vector<double> reals;
  encode_attrs(Conv2dAttrs{.stride_h = 2, .dilation_w = 3, .kernel_w = 5, .clamp_max = 6}, &ints,
               &reals);
  CHECK(ints == std::vector<int32_t>{2, 1, 0, 0, 0, 0, 1, 3, 1, 0, 0, 0, 5});
  CHECK(reals == std::vector<double>{-std::numeric_limits<double>::infinity(), 6});
  CHECK(attrs_text(Conv2dAttrs{.stride_h = 2, .clamp_min = -0.5}) == "stride_h=2 clamp_min=-0.5");
  CHECK(attrs_text(TransposeAttrs{{0, 2, 3, 1, 4, 5}}) == "perm=0,2,3,1");
  CHECK(attrs_text(TransposeAttrs{}) == "");
  CHECK(attrs_text(MomentumAttrs{.nesterov = true}) == "nesterov=true");
  CHECK(attrs_match(Op::conv2d_grad_weight, Conv2dAttrs{}));
  CHECK_FALSE(attrs_match(Op::linear, Conv2dAttrs{}));
  for (const OpInfo& info : kOps) CHECK(attrs_match(info.op, default_attrs(info.op)));
  const AnyAttrs attrs = ScaleAttrs{.factor = 4};
  CHECK(static_cast<const ScaleAttrs*>(attrs_data(attrs))->factor == 4);
}

}  // namespace attune::test
