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

TEST_CASE("what cannot be taken is refused by name") {
  CHECK(contains(error_of([] {
                   lookup({4, 2}, {-1}, 1).import();
                 }),
                 "computed indices of axis 1; only rows (axis 0) can be taken"));
  OnnxBuilder floats;
  floats.input("ids", {-1}).output("y").tensor("table", {4, 2});
  floats.node("Gather", {"table", "ids"}, {"y"});
  CHECK(contains(error_of([&] { floats.import(); }), "'ids' is of floats, not of integers"));
  OnnxBuilder computed;
  computed.input("x", {-1, 2}).int_input("ids", {-1}).output("y");
  computed.node("Gather", {"x", "ids"}, {"y"});
  CHECK(contains(error_of([&] { computed.import(); }), "indices"));
}

}  // namespace attune
