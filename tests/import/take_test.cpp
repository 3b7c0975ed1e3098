// Rows of a table by computed ids: ONNX's Gather as a lookup.
#include <doctest/doctest.h>

#include <cmath>

#include "graph/ir/interpret.h"
#include "tests/graph/support.h"
#include "tests/support/onnx_builder.h"

namespace attune {
namespace {

OnnxBuilder lookup(const std::vector<int64_t>& table, const std::vector<int64_t>& ids,
                   int axis = 0) {
  OnnxBuilder b;
  b.int_input("ids", ids).output("y").tensor("table", table, 1.0f, 1.0f);
  set_int(b.node("Gather", {"table", "ids"}, {"y"}), "axis", axis);
  return b;
}

std::vector<double> taken(const Graph& graph, const Shape& shape, const std::vector<int64_t>& ids) {
  const auto values = interpret(graph, {{"ids", HostTensor::of_ints(DType::i32, shape, ids)}});
  return values[graph.output("y")].reals();
}

}  // namespace

TEST_CASE("rows are taken by ids of any shape, from tables of any rank") {
  ImportOptions options;
  options.real = DType::f64;
  options.batch = 2;
  Graph graph = lookup({4, 2}, {-1, 3}).import(options);
  CHECK(graph.shape(graph.output("y")) == Shape{2, 3, 2});
  CHECK(taken(graph, {2, 3}, {0, 3, 3, 1, -1, -4}) ==
        std::vector<double>{1, 2, 7, 8, 7, 8, 3, 4, 7, 8, 1, 2});
  graph = lookup({3, 2, 2}, {-1}).import(options);
  CHECK(graph.shape(graph.output("y")) == Shape{2, 2, 2});
  CHECK(taken(graph, {2}, {2, 0}) == std::vector<double>{9, 10, 11, 12, 1, 2, 3, 4});
  graph = lookup({3}, {-1}).import(options);
  CHECK(graph.shape(graph.output("y")) == Shape{2});
  CHECK(taken(graph, {2}, {2, 1}) == std::vector<double>{3, 2});
}

TEST_CASE("an id without a row gives NaN, and nothing beside the table is read") {
  const Graph graph =
      lookup({4, 2}, {-1}).import({.real = DType::f64, .batch = 3, .input_shapes = {}});
  const std::vector<double> y = taken(graph, {3}, {4, 1, -5});
  CHECK(std::isnan(y[0]));
  CHECK(y[2] == 3);
  CHECK(std::isnan(y[5]));
}

TEST_CASE("a table is a parameter, also where its rows are chosen by what is known") {
  const Graph graph = lookup({4, 2}, {-1}).import();
  REQUIRE(graph.values.size() > 0);
  const Node* take = find_node(graph, Op::take);
  REQUIRE(take != nullptr);
  CHECK(graph.value(take->inputs[0]).role == Role::parameter);
  CHECK(graph.value(take->inputs[0]).origin.tensor == "table");

  // Positions: the last two and the first.
  OnnxBuilder b;
  b.input("x", {-1, 3, 2}).output("y").tensor("positions", {4, 2}, 1.0f, 1.0f);
  b.ints("ids", {2, -1, 0});
  b.node("Gather", {"positions", "ids"}, {"rows"});
  b.node("Add", {"x", "rows"}, {"y"});
  const Graph added = b.import({.real = DType::f64, .batch = 1, .input_shapes = {}});
  const auto y = interpret(added, {{"x", HostTensor::zeros(DType::f64, {1, 3, 2})}});
  CHECK(y[added.output("y")].reals() == std::vector<double>{5, 6, 7, 8, 1, 2});
  take = find_node(added, Op::take);
  REQUIRE(take != nullptr);
  CHECK(added.value(take->inputs[0]).role == Role::parameter);
}

TEST_CASE("what cannot be taken is refused by name") {
  OnnxBuilder floats;
  floats.input("ids", {-1}).output("y").tensor("table", {4, 2});
  floats.node("Gather", {"table", "ids"}, {"y"});
  CHECK(contains(error_of([&] { floats.import(); }), "'ids' is of floats, not of integers"));
}

}  // namespace attune
