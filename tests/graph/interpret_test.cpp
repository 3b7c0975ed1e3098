#include "graph/ir/interpret.h"

#include <doctest/doctest.h>

#include "graph/rules/rules.h"
#include "tests/graph/support.h"

namespace attune::test {

TEST_CASE("host tensors hold every dtype") {
  CHECK(HostTensor::of_reals(DType::f32, {2}, {0.5, -3}).reals() == std::vector<double>{0.5, -3});
  CHECK(HostTensor::of_reals(DType::f64, {}, {0.1}).reals() == std::vector<double>{0.1});
  CHECK(HostTensor::of_ints(DType::i32, {2}, {-7, 9}).reals() == std::vector<double>{-7, 9});
  CHECK(HostTensor::of_ints(DType::u8, {2}, {255, 0}).reals() == std::vector<double>{255, 0});
  const HostTensor mask = HostTensor::of_ints(DType::mask, {9}, {1, 0, 0, 1, 0, 0, 0, 0, 1});
  CHECK(mask.bytes.size() == 2);
  CHECK(mask.bytes[0] == std::byte{0b1001});
  CHECK(mask.reals() == std::vector<double>{1, 0, 0, 1, 0, 0, 0, 0, 1});
  CHECK(HostTensor::zeros(DType::f32, {3}).reals() == std::vector<double>{0, 0, 0});
  CHECK(error_of([] { HostTensor::of_reals(DType::f32, {2}, {1}); }) ==
        "1 elements for a tensor of [2]");
}

TEST_CASE("an update makes a new value and leaves the old one as it was") {
  Graph g;
  g.real = DType::f64;
  const ValueId lr = g.add_input("learning_rate", DType::f64, {1});
  const ValueId w = add_parameter(g, "w", {3}, {1, 2, 3});
  const ValueId dw = g.add_constant("dw", {2}, {10, 20});
  const ValueId velocity = add_state(g, "velocity", {2});
  const ValueId indices = g.add_index_constant("indices", {2, 0});
  const ValueId updated = g.emit(Op::momentum, MomentumAttrs{.momentum = 0.5},
                                 {w, dw, lr, indices, velocity}, "update");
  const ValueId new_velocity = g.nodes.back().outputs[1];
  g.verify();
  const HostTensor rate = HostTensor::of_reals(DType::f64, {1}, {0.1});
  auto values = interpret(g, {{"learning_rate", rate}});
  CHECK(values[w].reals() == std::vector<double>{1, 2, 3});
  CHECK(values[velocity].reals() == std::vector<double>{0, 0});
  CHECK(values[new_velocity].reals() == std::vector<double>{10, 20});
  CHECK(values[updated].reals()[0] == doctest::Approx(-1));
  CHECK(values[updated].reals()[1] == 2);
  CHECK(values[updated].reals()[2] == doctest::Approx(2));
  // A second step goes on from the first.
  values = interpret(
      g, {{"learning_rate", rate}, {"w", values[updated]}, {"velocity", values[new_velocity]}});
  CHECK(values[new_velocity].reals() == std::vector<double>{15, 30});
  CHECK(values[updated].reals()[0] == doctest::Approx(-4));
  CHECK(values[updated].reals()[2] == doctest::Approx(0.5));
}

TEST_CASE("pixels and labels enter as integers") {
  Graph g;
  const ValueId pixels = g.add_input("x", DType::u8, {1, 1, 2, 2});
  const ValueId labels = g.add_input("labels", DType::i32, {1});
  const ValueId weights = g.add_input("weights", DType::f32, {1});
  const ValueId scale = g.add_constant("scale", {2}, {0.5, 2});
  const ValueId offset = g.add_constant("offset", {2}, {-1, 1});
  const ValueId x = g.emit(Op::normalize, NoAttrs{}, {pixels, scale, offset}, "x_real");
  const Shape flat = {1, 4};
  const ValueId logits = g.emit(Op::reshape, NoAttrs{}, {x}, "logits", &flat);
  const ValueId correct = g.emit(Op::count_correct, NoAttrs{}, {logits, labels, weights}, "ok");
  g.verify();
  const auto values =
      interpret(g, {{"x", HostTensor::of_ints(DType::u8, {1, 1, 2, 2}, {2, 4, 6, 255})},
                    {"labels", HostTensor::of_ints(DType::i32, {1}, {3})},
                    {"weights", HostTensor::of_reals(DType::f32, {1}, {0.25})}});
  CHECK(values[logits].reals() == std::vector<double>{0, 9, 2, 511});
  CHECK(values[correct].reals() == std::vector<double>{0.25});
  CHECK(compute_dtype(g, g.nodes[0]) == DType::f32);
}

TEST_CASE("inputs that are missing, unknown or of another type are refused") {
  Graph g;
  const ValueId x = g.add_input("x", DType::f32, {2});
  g.emit(Op::tanh, NoAttrs{}, {x}, "y");
  const HostTensor good = HostTensor::zeros(DType::f32, {2});
  CHECK(error_of([&] { interpret(g, {}); }) == "input 'x' is not given");
  CHECK(error_of([&] {
          interpret(g, {{"x", good}, {"z", good}});
        }) == "there is no input, parameter or state 'z'");
  CHECK(error_of([&] {
          interpret(g, {{"x", good}, {"y", good}});
        }) == "there is no input, parameter or state 'y'");
  CHECK(error_of([&] {
          interpret(g, {{"x", HostTensor::zeros(DType::f32, {3})}});
        }) == "'x' is f32[3], where f32[2] is needed");
  CHECK(error_of([&] {
          interpret(g, {{"x", HostTensor::zeros(DType::f64, {2})}});
        }) == "'x' is f64[2], where f32[2] is needed");
  CHECK(interpret(g, {{"x", good}})[1].reals() == std::vector<double>{0, 0});
}

}  // namespace attune::test
