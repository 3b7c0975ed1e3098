#include "graph/passes/passes.h"

#include <doctest/doctest.h>

#include "graph/training/autodiff.h"
#include "tests/graph/support.h"

namespace attune::test {

TEST_CASE("remove_dead keeps what reaches an output or an update, and drops unread masks") {
  Graph g;
  const ValueId x = g.add_input("x", DType::f64, {2, 3});
  const ValueId lr = g.add_input("lr", DType::f64, {1});
  g.real = DType::f64;
  const ValueId w = add_parameter(g, "w", {2, 3}, 1);
  const ValueId sum = g.emit(Op::add, NoAttrs{}, {x, w}, "sum");
  const ValueId y = g.emit(Op::clamp, ClampAttrs{.min = 0}, {sum}, "y");
  const ValueId mask = g.want_output(g.nodes.back(), 1);
  g.emit(Op::mask_grad, NoAttrs{}, {x, mask}, "unread");
  const ValueId dead = g.emit(Op::tanh, NoAttrs{}, {x}, "dead");
  g.emit(Op::sigmoid, NoAttrs{}, {dead}, "dead_too");
  const ValueId step = g.emit(Op::scale, ScaleAttrs{.factor = 3}, {x}, "gradient");
  const ValueId updated = g.emit(Op::sgd, SgdAttrs{}, {w, step, lr}, "update");
  g.outputs = {{"y", y}};
  const auto inputs = [&] {
    return std::map<std::string, HostTensor>{
        {"x", HostTensor::of_reals(DType::f64, {2, 3}, spread(6, 7))},
        {"lr", HostTensor::of_reals(DType::f64, {1}, {0.5})}};
  }();
  const auto before = interpret(g, inputs);
  remove_dead(g);
  g.verify();
  CHECK(g.text() == R"(input x: %x f64[2,3]
input lr: %lr f64[1]
parameter %w f64[2,3]
%sum f64[2,3] = add(%x, %w)
%y f64[2,3] = clamp(%sum) min=0
%gradient f64[2,3] = scale(%x) factor=3
%update f64[2,3] over %w = sgd(%w, %gradient, %lr)
output y: %y
)");
  CHECK(g.value(updated).producer == 3);
  CHECK(g.value(dead).producer == kNone);
  const auto after = interpret(g, inputs);
  CHECK(after[y].bytes == before[y].bytes);
  CHECK(after[updated].bytes == before[updated].bytes);
  CHECK(after[mask].bytes.empty());
}

TEST_CASE("remove_dead keeps an optional output that is read, or is an output") {
  Graph g;
  const ValueId x = g.add_input("x", DType::f32, {2});
  g.emit(Op::clamp, ClampAttrs{.min = 0}, {x}, "y");
  const ValueId mask = g.want_output(g.nodes.back(), 1);
  SUBCASE("read") { g.outputs = {{"dx", g.emit(Op::mask_grad, NoAttrs{}, {x, mask}, "dx")}}; }
  SUBCASE("output") { g.outputs = {{"mask", mask}}; }
  remove_dead(g);
  g.verify();
  CHECK(g.nodes[0].output(1) == mask);
}

TEST_CASE("remove_dead of a graph without outputs leaves nothing") {
  Graph g;
  g.emit(Op::tanh, NoAttrs{}, {g.add_input("x", DType::f32, {2})}, "y");
  remove_dead(g);
  CHECK(g.nodes.empty());
  g.verify();
}

TEST_CASE("common subexpressions are shared, with the optional outputs of both") {
  Graph g;
  g.real = DType::f64;
  const ValueId x = g.add_input("x", DType::f64, {2, 3});
  const ValueId a = g.emit(Op::clamp, ClampAttrs{.min = 0}, {x}, "a");
  const ValueId b = g.emit(Op::clamp, ClampAttrs{.min = 0}, {x}, "b");
  const ValueId mask = g.want_output(g.nodes.back(), 1);
  const ValueId c = g.emit(Op::clamp, ClampAttrs{.min = 1}, {x}, "c");  // another attribute
  const ValueId ta = g.emit(Op::tanh, NoAttrs{}, {a}, "ta");
  const ValueId tb = g.emit(Op::tanh, NoAttrs{}, {b}, "tb");  // equal only after a and b are
  const ValueId masked = g.emit(Op::mask_grad, NoAttrs{}, {x, mask}, "masked");
  const Shape six = {6}, three = {3, 2};
  const ValueId r6 = g.emit(Op::reshape, NoAttrs{}, {x}, "r6", &six);
  const ValueId r3 = g.emit(Op::reshape, NoAttrs{}, {x}, "r3", &three);  // another shape
  g.outputs = {{"ta", ta}, {"tb", tb}, {"c", c}, {"masked", masked}, {"r6", r6}, {"r3", r3}};
  const std::map<std::string, HostTensor> inputs = {
      {"x", HostTensor::of_reals(DType::f64, {2, 3}, spread(6, 3))}};
  const auto before = interpret(g, inputs);
  const auto ports = g.outputs;
  share_common_subexpressions(g);
  g.verify();
  CHECK(g.text() == R"(input x: %x f64[2,3]
%a f64[2,3], %b:1 mask[2,3] = clamp(%x) min=0
%c f64[2,3] = clamp(%x) min=1
%ta f64[2,3] = tanh(%a)
%masked f64[2,3] = mask_grad(%x, %b:1)
%r6 f64[6] = reshape(%x)
%r3 f64[3,2] = reshape(%x)
output ta: %ta
output tb: %ta
output c: %c
output masked: %masked
output r6: %r6
output r3: %r3
)");
  const auto after = interpret(g, inputs);
  for (size_t i = 0; i < ports.size(); ++i)
    CHECK(after[g.outputs[i].value].bytes == before[ports[i].value].bytes);
}

TEST_CASE("when both nodes have an optional output, readers of the later read the earlier's") {
  Graph g;
  const ValueId x = g.add_input("x", DType::f32, {2});
  std::vector<ValueId> masks;
  for (const char* name : {"a", "b"}) {
    g.emit(Op::clamp, ClampAttrs{.max = 0}, {x}, name);
    masks.push_back(g.want_output(g.nodes.back(), 1));
  }
  g.outputs = {{"dx", g.emit(Op::mask_grad, NoAttrs{}, {x, masks[1]}, "dx")}};
  share_common_subexpressions(g);
  g.verify();
  CHECK(g.nodes.size() == 2);
  CHECK(g.nodes[1].inputs[1] == masks[0]);
}

TEST_CASE("updates are never shared, and an absent trailing input is like none") {
  Graph g;
  const ValueId lr = g.add_input("lr", DType::f32, {1});
  const ValueId x = g.add_input("x", DType::f32, {1, 2});
  const ValueId w = add_parameter(g, "w", {1, 2}, 1);
  const ValueId once = g.emit(Op::sgd, SgdAttrs{}, {w, x, lr}, "once");
  const ValueId twice = g.emit(Op::sgd, SgdAttrs{}, {once, x, lr}, "twice");
  const ValueId a = g.emit(Op::linear, LinearAttrs{}, {x, x}, "a");
  const ValueId b = g.emit(Op::linear, LinearAttrs{}, {x, x, kNone}, "b");
  g.outputs = {{"a", a}, {"b", b}, {"twice", twice}};
  share_common_subexpressions(g);
  g.verify();
  CHECK(g.nodes.size() == 3);
  CHECK(g.output("b") == a);
  CHECK(g.value(twice).updates == once);
}

TEST_CASE("an update follows the value that it updates when that is shared") {
  Graph g;
  const ValueId lr = g.add_input("lr", DType::f32, {1});
  const ValueId x = g.add_input("x", DType::f32, {2});
  const ValueId w = add_parameter(g, "w", {2}, 1);
  g.emit(Op::scale, ScaleAttrs{.factor = 2}, {x}, "dw");
  const ValueId again = g.emit(Op::scale, ScaleAttrs{.factor = 2}, {x}, "again");
  const ValueId updated = g.emit(Op::sgd, SgdAttrs{}, {w, again, lr}, "update");
  g.outputs = {{"w", updated}};
  share_common_subexpressions(g);
  g.verify();
  CHECK(g.nodes.size() == 2);
  CHECK(g.value(updated).producer == 1);
}

TEST_CASE("both passes leave the gradients of a network as they were, bit for bit") {
  Graph g;
  g.real = DType::f64;
  const ValueId x = add_parameter(g, "x", {2, 4}, 1);
  const ValueId w = add_parameter(g, "w", {4, 4}, 2);
  ValueId v = x;
  for (int i = 0; i < 3; ++i) {
    const ValueId left = g.emit(Op::linear, LinearAttrs{.clamp_min = -1}, {v, w}, "left");
    const ValueId right = g.emit(Op::linear, LinearAttrs{.clamp_min = -1}, {v, w}, "right");
    v = g.emit(Op::add, NoAttrs{}, {left, g.emit(Op::tanh, NoAttrs{}, {right}, "tanh")}, "sum");
    g.emit(Op::sigmoid, NoAttrs{}, {v}, "unread");
  }
  const ValueId seed = g.add_constant("seed", {2, 4}, spread(8, 5));
  const auto gradients = differentiate(g, {{v, seed}}, {x, w});
  g.outputs = {{"dx", gradients.at(x)}, {"dw", gradients.at(w)}};
  const auto before = interpret(g, {});
  const size_t nodes = g.nodes.size();
  share_common_subexpressions(g);
  remove_dead(g);
  g.verify();
  CHECK(g.nodes.size() < nodes - 5);
  const auto after = interpret(g, {});
  CHECK(after[g.output("dx")].bytes == before[gradients.at(x)].bytes);
  CHECK(after[g.output("dw")].bytes == before[gradients.at(w)].bytes);
}

}  // namespace attune::test
