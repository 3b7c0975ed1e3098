// What moves, chooses and places elements: each example by itself, whatever the batch; gradients
// against central differences; and results that PyTorch and ONNX Runtime computed.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <variant>

#include "graph/ir/interpret.h"
#include "graph/passes/passes.h"
#include "graph/rules/examples.h"
#include "tests/graph/support.h"
#include "tests/support/onnx_builder.h"

namespace attune {
namespace {

using Dims = std::vector<int64_t>;

// Of x, whose first axis is the batch.
struct Composition {
  const char* name;
  Dims x;  // without the batch
  std::function<void(OnnxBuilder&)> build;
  bool trains = true;
};

onnx::NodeProto& with_text(onnx::NodeProto& node, const char* name, const char* value) {
  set_text(node, name, value);
  return node;
}
onnx::NodeProto& with_int(onnx::NodeProto& node, const char* name, int64_t value) {
  set_int(node, name, value);
  return node;
}

// [N,1] of 0, 1, .. N - 1, as exporters compute it.
void add_range(OnnxBuilder& b) {
  b.ints("zeros", {0}).ints("ones", {1});
  with_int(b.node("Shape", {"x"}, {"n"}), "end", 1);
  b.node("Squeeze", {"n"}, {"count"});
  b.node("Squeeze", {"zeros"}, {"zero"}), b.node("Squeeze", {"ones"}, {"one"});
  b.node("Range", {"zero", "count", "one"}, {"numbers"});
  b.node("Unsqueeze", {"numbers", "ones"}, {"column"});
}

// A place in 0 .. 3 for each example, [N] or [N,1].
void add_ids(OnnxBuilder& b, int64_t keep) {
  b.ints("flat_shape", {0, -1}).ints("first", {0}).ints("four", {4}).ints("second", {1});
  b.node("Reshape", {"x", "flat_shape"}, {"flat"});
  b.node("Slice", {"flat", "first", "four", "second"}, {"some"});
  with_int(with_int(b.node("ArgMax", {"some"}, {"ids"}), "axis", 1), "keepdims", keep);
}

const std::vector<Composition>& compositions() {
  static const std::vector<Composition> all = {
      {"a list of columns",
       {4, 3},
       [](OnnxBuilder& b) {
         b.ints("list", {2, 0, -1, 2});
         with_int(b.node("Gather", {"x", "list"}, {"y"}), "axis", 2);
       }},
      {"a table that is computed, by ids",
       {4},
       [](OnnxBuilder& b) {
         b.tensor("table", {4, 3});
         b.node("Tanh", {"table"}, {"computed"});
         add_ids(b, 0);
         b.node("Gather", {"computed", "ids"}, {"rows"});
         set_ints(b.node("ReduceMean", {"x"}, {"mean"}), "axes", {1});
         b.node("Mul", {"rows", "mean"}, {"y"});
       }},
      {"columns of a weight by ids",
       {4},
       [](OnnxBuilder& b) {
         b.tensor("table", {2, 4, 3});
         add_ids(b, 0);
         with_int(b.node("Gather", {"table", "ids"}, {"turned"}), "axis", 1);
         set_ints(b.node("Transpose", {"turned"}, {"rows"}), "perm", {1, 0, 2});
         b.ints("shape", {0, 1, -1}).ints("wide", {0, -1, 1});
         b.node("Reshape", {"rows", "shape"}, {"r"}), b.node("Reshape", {"x", "wide"}, {"c"});
         b.node("MatMul", {"c", "r"}, {"y"});
       }},
      {"elements by a list that is the same for all",
       {4, 3},
       [](OnnxBuilder& b) {
         b.ints("list", {3, 1, 2, 0, 0, -1}).ints("shape", {1, 2, 3});
         b.node("Reshape", {"list", "shape"}, {"single"});
         add_range(b);
         b.ints("rest", {2, 3});
         with_int(b.node("Concat", {"n", "rest"}, {"all"}), "axis", 0);
         b.node("Expand", {"single", "all"}, {"places"});
         with_int(b.node("GatherElements", {"x", "places"}, {"y"}), "axis", 1);
       }},
      {"elements by computed ids",
       {4, 3},
       [](OnnxBuilder& b) {
         with_int(b.node("ArgMax", {"x"}, {"ids"}), "axis", 1);
         with_int(b.node("GatherElements", {"x", "ids"}, {"y"}), "axis", 1);
       }},
      {"a row of each example, x[arange(N), best]",
       {4, 3},
       [](OnnxBuilder& b) {
         add_range(b);
         add_ids(b, 1);
         with_int(b.node("Concat", {"column", "ids"}, {"places"}), "axis", -1);
         b.node("GatherND", {"x", "places"}, {"y"});
       }},
      {"an element of each example by two ids",
       {4, 5},
       [](OnnxBuilder& b) {
         add_range(b);
         add_ids(b, 1);
         with_int(b.node("Concat", {"column", "ids", "ids"}, {"places"}), "axis", -1);
         b.node("GatherND", {"x", "places"}, {"y"});
       }},
      {"rows in step",
       {4, 3},
       [](OnnxBuilder& b) {
         add_ids(b, 1);
         with_int(b.node("GatherND", {"x", "ids"}, {"y"}), "batch_dims", 1);
       }},
      {"slices placed at constant places",
       {4, 3},
       [](OnnxBuilder& b) {
         set_ints(b.node("Transpose", {"x"}, {"t"}), "perm", {1, 0, 2});
         b.ints("list", {2, 0}).ints("shape", {2, 1}).ints("half", {0}).ints("end", {2});
         b.node("Reshape", {"list", "shape"}, {"places"});
         b.node("Slice", {"t", "half", "end"}, {"updates"});
         b.node("ScatterND", {"t", "places", "updates"}, {"placed"});
         set_ints(b.node("Transpose", {"placed"}, {"y"}), "perm", {1, 0, 2});
       }},
      {"a row of each example replaced",
       {4, 3},
       [](OnnxBuilder& b) {
         add_range(b);
         add_ids(b, 1);
         with_int(b.node("Concat", {"column", "ids"}, {"places"}), "axis", -1);
         set_ints(with_int(b.node("ReduceMean", {"x"}, {"mean"}), "keepdims", 0), "axes", {1});
         b.node("ScatterND", {"x", "places", "mean"}, {"y"});
       }},
      {"elements added up at computed places",
       {4, 3},
       [](OnnxBuilder& b) {
         with_int(b.node("ArgMax", {"x"}, {"ids"}), "axis", 1);
         b.ints("from", {1}).ints("to", {2}).ints("axis", {1});
         b.node("Slice", {"x", "from", "to", "axis"}, {"updates"});
         with_text(with_int(b.node("ScatterElements", {"x", "ids", "updates"}, {"y"}), "axis", 1),
                   "reduction", "add");
       }},
      {"elements multiplied at computed places",
       {4, 3},
       [](OnnxBuilder& b) {
         with_int(b.node("ArgMax", {"x"}, {"ids"}), "axis", 1);
         b.ints("from", {1}).ints("to", {2}).ints("axis", {1});
         b.node("Slice", {"x", "from", "to", "axis"}, {"updates"});
         with_text(with_int(b.node("ScatterElements", {"x", "ids", "updates"}, {"y"}), "axis", 1),
                   "reduction", "mul");
       }},
      {"the larger one at computed places",
       {4, 3},
       [](OnnxBuilder& b) {
         with_int(b.node("ArgMin", {"x"}, {"ids"}), "axis", 1);
         b.ints("from", {1}).ints("to", {2}).ints("axis", {1});
         b.node("Slice", {"x", "from", "to", "axis"}, {"updates"});
         with_text(with_int(b.node("ScatterElements", {"x", "ids", "updates"}, {"y"}), "axis", 1),
                   "reduction", "max");
       }},
      {"every other row, backwards",
       {5, 3},
       [](OnnxBuilder& b) {
         b.ints("from", {-1}).ints("to", {-100}).ints("axis", {1}).ints("step", {-2});
         b.node("Slice", {"x", "from", "to", "axis", "step"}, {"y"});
       }},
      {"reflected around",
       {2, 4, 3},
       [](OnnxBuilder& b) {
         b.ints("pads", {0, 0, 2, 1, 0, 0, 1, 2});
         with_text(b.node("Pad", {"x", "pads"}, {"y"}), "mode", "reflect");
       }},
      {"a constant around",
       {2, 3},
       [](OnnxBuilder& b) {
         b.ints("pads", {0, 1, -1, 0, 2, 2}).tensor("c", {}, 1.5f);
         b.node("Pad", {"x", "pads", "c"}, {"y"});
       }},
      {"repeated",
       {2, 3},
       [](OnnxBuilder& b) {
         b.ints("counts", {1, 3, 100});
         b.node("Tile", {"x", "counts"}, {"y"});
       }},
      {"larger, linear",
       {2, 3, 2},
       [](OnnxBuilder& b) {
         b.ints("sizes", {1, 2, 7, 5}).ints("from", {1}).ints("to", {4});
         b.node("Slice", {"sizes", "from", "to"}, {"rest"}), add_range(b);
         with_int(b.node("Concat", {"n", "rest"}, {"size"}), "axis", 0);
         with_text(b.node("Resize", {"x", "", "", "size"}, {"y"}), "mode", "linear");
       }},
      {"half as large, cubic with an antialias",
       {2, 8, 6},
       [](OnnxBuilder& b) {
         b.tensor("same", {2}, 1.0f, 0.0f).tensor("half", {2}, 0.5f, 0.0f);
         with_int(b.node("Concat", {"same", "half"}, {"scales"}), "axis", 0);
         with_int(with_text(b.node("Resize", {"x", "", "scales"}, {"y"}), "mode", "cubic"),
                  "antialias", 1);
       }},
      {"depth to space",
       {8, 2, 3},
       [](OnnxBuilder& b) {
         with_text(with_int(b.node("DepthToSpace", {"x"}, {"y"}), "blocksize", 2), "mode", "CRD");
       }},
      {"space to depth",
       {3, 4, 2},
       [](OnnxBuilder& b) { with_int(b.node("SpaceToDepth", {"x"}, {"y"}), "blocksize", 2); }},
      {"points of an image that it says itself",
       {2, 4, 3},
       [](OnnxBuilder& b) {
         // [N,2,4,3] is also a grid of 4 x 3 points.
         set_ints(b.node("Transpose", {"x"}, {"t"}), "perm", {0, 2, 3, 1});
         b.tensor("part", {}, 0.37f).node("Mul", {"t", "part"}, {"grid"});
         with_text(b.node("GridSample", {"x", "grid"}, {"y"}), "padding_mode", "reflection");
       }},
      {"points among zeros, cubic",
       {2, 4, 3},
       [](OnnxBuilder& b) {
         set_ints(b.node("Transpose", {"x"}, {"t"}), "perm", {0, 2, 3, 1});
         b.tensor("part", {}, 0.37f).node("Mul", {"t", "part"}, {"grid"});
         with_text(b.node("GridSample", {"x", "grid"}, {"y"}), "mode", "bicubic");
       }},
      {"a spatial transformer",
       {6},
       [](OnnxBuilder& b) {
         b.ints("shape", {0, 2, 3}).node("Reshape", {"x", "shape"}, {"theta"});
         add_range(b);
         b.ints("rest", {1, 3, 4});
         with_int(b.node("Concat", {"n", "rest"}, {"size"}), "axis", 0);
         b.node("AffineGrid", {"theta", "size"}, {"y"});
       }},
      {"heads of attention",
       {4, 6},
       [](OnnxBuilder& b) {
         b.ints("heads", {0, 4, 2, 3}).node("Reshape", {"x", "heads"}, {"h"});
         set_text(b.node("Einsum", {"h", "h"}, {"scores"}), "equation", "bihd,bjhd->bhij");
         set_text(b.node("Einsum", {"scores", "h"}, {"y"}), "equation", "bhij,bjhd->bihd");
       }},
      {"a weight of two axes",
       {4, 6},
       [](OnnxBuilder& b) {
         b.tensor("w", {6, 2, 3});
         set_text(b.node("Einsum", {"x", "w"}, {"y"}), "equation", "...d,dhe->...he");
       }},
      {"three operands and a diagonal",
       {3, 3},
       [](OnnxBuilder& b) {
         b.tensor("w", {3, 2});
         set_text(b.node("Einsum", {"x", "w", "x"}, {"y"}), "equation", "nii,ij,nik->njk");
       }},
      {"the two largest",
       {5, 3},
       [](OnnxBuilder& b) {
         b.ints("k", {2});
         with_int(b.node("TopK", {"x", "k"}, {"y", "places"}), "axis", 1);
       }},
      {"the two smallest",
       {5, 3},
       [](OnnxBuilder& b) {
         b.ints("k", {2});
         with_int(b.node("TopK", {"x", "k"}, {"y", ""}), "largest", 0);
       }},
      {"the last of the largest",
       {5, 3},
       [](OnnxBuilder& b) {
         b.tensor("least", {}, -0.5f).tensor("most", {}, 0.5f);  // many are equal
         b.node("Clip", {"x", "least", "most"}, {"clipped"});
         with_int(with_int(b.node("ArgMax", {"clipped"}, {"best"}), "axis", 1), "select_last_index",
                  1);
         with_int(b.node("Cast", {"best"}, {"y"}), "to", 1);
       },
       false},
      {"one of many",
       {4},
       [](OnnxBuilder& b) {
         add_ids(b, 0);
         b.ints("depth", {6}).tensor("values", {2}, 0.0f, 1.0f);
         b.node("OneHot", {"ids", "depth", "values"}, {"hot"});
         b.ints("shape", {0, 4, 1}).ints("row", {0, 1, 6});
         b.node("Reshape", {"x", "shape"}, {"a"}), b.node("Reshape", {"hot", "row"}, {"h"});
         b.node("MatMul", {"a", "h"}, {"y"});
       }},
      {"a lower triangle",
       {4, 4},
       [](OnnxBuilder& b) { with_int(b.node("Trilu", {"x"}, {"y"}), "upper", 0); }},
      {"a running sum",
       {4, 3},
       [](OnnxBuilder& b) {
         b.ints("axis", {1});
         with_int(b.node("CumSum", {"x", "axis"}, {"y"}), "reverse", 1);
       }},
      {"the first steps in reverse",
       {4, 3},
       [](OnnxBuilder& b) {
         add_ids(b, 0);
         with_int(with_int(b.node("ReverseSequence", {"x", "ids"}, {"y"}), "batch_axis", 0),
                  "time_axis", 1);
       }},
      {"blocks added up",
       {8, 6},
       [](OnnxBuilder& b) {
         b.ints("image", {3, 4}).ints("block", {2, 2});
         b.node("Col2Im", {"x", "image", "block"}, {"y"});
       }},
      {"the middle, or more",
       {4, 3},
       [](OnnxBuilder& b) {
         b.ints("shape", {1, 6});
         set_ints(b.node("CenterCropPad", {"x", "shape"}, {"y"}), "axes", {1, 2});
       }},
      {"what a list marks",
       {4, 3},
       [](OnnxBuilder& b) {
         b.ints("list", {1, 0, 0, 1});
         with_int(b.node("Cast", {"list"}, {"marks"}), "to", 9);
         with_int(b.node("Compress", {"x", "marks"}, {"y"}), "axis", 1);
       }},
  };
  return all;
}

Graph imported(const Composition& c, int batch) {
  OnnxBuilder b(18);
  Dims dims = c.x;
  dims.insert(dims.begin(), -1);
  b.input("x", dims).output("y");
  c.build(b);
  ImportOptions options;
  options.real = DType::f64;
  options.batch = batch;
  Graph graph = b.import(options);
  graph.verify();
  return graph;
}

std::vector<double> run(const Graph& graph, const std::vector<double>& x) {
  const Shape shape = graph.shape(graph.input("x"));
  const auto values = interpret(graph, {{"x", HostTensor::of_reals(DType::f64, shape, x)}});
  return values[graph.output("y")].reals();
}

}  // namespace

TEST_CASE("each example is computed by itself, whatever the batch") {
  constexpr int kBatch = 5;
  for (const Composition& c : compositions()) {
    CAPTURE(std::string(c.name));
    const Graph many = imported(c, kBatch), one = imported(c, 1);
    const auto mixed = mixed_examples(many, kBatch);
    CHECK_MESSAGE(!mixed, mixed.value_or(""));
    const auto size = static_cast<size_t>(one.shape(one.input("x")).elements());
    const std::vector<double> x = test::spread(kBatch * size, 7), y = run(many, x);
    for (size_t i = 0; i < kBatch; ++i) {
      const auto part = x.begin() + static_cast<ptrdiff_t>(i * size);
      const std::vector<double> own = run(one, {part, part + static_cast<ptrdiff_t>(size)});
      REQUIRE(own.size() * kBatch == y.size());
      for (size_t k = 0; k < own.size(); ++k)
        CHECK(own[k] == doctest::Approx(y[i * own.size() + k]).epsilon(1e-12));
    }
  }
}

TEST_CASE("their gradients agree with central differences") {
  for (const Composition& c : compositions()) {
    if (!c.trains) continue;
    CAPTURE(std::string(c.name));
    Graph graph = imported(c, 2);
    remove_dead(graph);
    Value& x = graph.value(graph.input("x"));
    x.role = Role::parameter;
    x.data = Data::of_reals(test::spread(static_cast<size_t>(x.shape.elements()), 3, 1.7));
    std::vector<ValueId> trained;
    for (size_t v = 0; v < graph.values.size(); ++v)
      if (graph.values[v].role == Role::parameter) trained.push_back(static_cast<ValueId>(v));
    const ValueId y = graph.output("y");
    graph.inputs.clear();
    graph.outputs.clear();
    test::check_gradients(graph, y, trained);
  }
}

namespace {

using Attribute = std::variant<int64_t, double, std::string, Dims>;

// Of floats; where the element type is 7, of integers. What is `fed` is no initializer.
struct Operand {
  Dims dims;
  int type;
  std::vector<double> elements;
};
struct Reference {
  const char* op;
  int opset;
  std::vector<std::pair<const char*, Attribute>> attributes;
  std::vector<Operand> inputs;  // without elements: absent; the first one is fed
  std::vector<double> y;
};

const std::vector<Reference>& references() {
  static const std::vector<Reference> all = {
#include "tests/import/indexing_reference.inc"
  };
  return all;
}

}  // namespace

TEST_CASE("what PyTorch and ONNX Runtime compute is computed here") {
  for (const Reference& r : references()) {
    std::string what = r.op;
    OnnxBuilder b(r.opset);
    std::vector<std::string> names;
    for (size_t i = 0; i < r.inputs.size(); ++i) {
      const Operand& operand = r.inputs[i];
      names.push_back(operand.elements.empty() ? "" : "x" + std::to_string(i));
      if (operand.elements.empty()) continue;
      if (i == 0) {
        b.input("x0", operand.dims);
        continue;
      }
      auto* tensor = b.proto().mutable_graph()->add_initializer();
      tensor->set_name(names.back());
      tensor->set_data_type(operand.type);
      for (int64_t d : operand.dims) tensor->add_dims(d);
      for (double v : operand.elements)
        operand.type == 7 ? tensor->add_int64_data(static_cast<int64_t>(v))
                          : tensor->add_float_data(static_cast<float>(v));
    }
    auto& node = b.output("y").node(r.op, names, {"y"});
    for (const auto& [name, value] : r.attributes) {
      what += std::string(" ") + name;
      if (const auto* i = std::get_if<int64_t>(&value)) set_int(node, name, *i);
      if (const auto* f = std::get_if<double>(&value))
        set_float(node, name, static_cast<float>(*f));
      if (const auto* t = std::get_if<std::string>(&value)) {
        what += "=" + *t;
        set_text(node, name, *t);
      }
      if (const auto* d = std::get_if<Dims>(&value)) set_ints(node, name, *d);
    }
    CAPTURE(what);
    ImportOptions options;
    options.real = DType::f64;
    options.batch = 0;
    const Graph graph = b.import(options);
    graph.verify();
    const Shape shape = graph.shape(graph.input("x0"));
    const auto values =
        interpret(graph, {{"x0", HostTensor::of_reals(DType::f64, shape, r.inputs[0].elements)}});
    const std::vector<double> y = values[graph.output("y")].reals();
    REQUIRE(y.size() == r.y.size());
    for (size_t i = 0; i < y.size(); ++i) CHECK(std::fabs(y[i] - r.y[i]) < 2e-5);
  }
}

TEST_CASE("weights that are gathered, cut or joined are trained") {
  const auto trained = [](const std::function<void(OnnxBuilder&)>& build) {
    OnnxBuilder b(18);
    b.input("x", {-1, 4, 4}).output("y").tensor("bias.table", {6, 4}).ints("list", {3, 1, 0, 3});
    build(b);
    b.node("Add", {"x", "made"}, {"y"});
    const Graph graph = b.import();
    int count = 0;
    for (const Value& value : graph.values) count += value.role == Role::parameter;
    return count;
  };
  CHECK(trained([](OnnxBuilder& b) { b.node("Gather", {"bias.table", "list"}, {"made"}); }) == 1);
  CHECK(trained([](OnnxBuilder& b) {
          b.ints("from", {1}).ints("to", {5});
          b.node("Slice", {"bias.table", "from", "to"}, {"made"});
        }) == 1);
  CHECK(trained([](OnnxBuilder& b) {
          b.tensor("other.table", {2, 4}).ints("two", {0}).ints("end", {2});
          b.node("Slice", {"bias.table", "two", "end"}, {"part"});
          with_int(b.node("Concat", {"part", "other.table"}, {"made"}), "axis", 0);
        }) == 2);
  CHECK(trained([](OnnxBuilder& b) {  // a table of positions for images of another size
          b.ints("shape", {1, 1, 6, 4}).ints("size", {1, 1, 4, 4}).ints("flat", {4, 4});
          b.node("Reshape", {"bias.table", "shape"}, {"image"});
          with_text(b.node("Resize", {"image", "", "", "size"}, {"resized"}), "mode", "linear");
          b.node("Reshape", {"resized", "flat"}, {"made"});
        }) == 1);
  CHECK(trained([](OnnxBuilder& b) {
          b.ints("three", {4}).ints("axis", {0});
          with_int(b.node("TopK", {"bias.table", "three"}, {"made", ""}), "axis", 0);
        }) == 1);
}

TEST_CASE("what is known stays so where it is placed among what is known") {
  OnnxBuilder b(18);
  b.input("x", {2, 3}).output("y").ints("axes", {0, 0}).ints("place", {1}).ints("one", {1, 1});
  b.node("Reshape", {"place", "one"}, {"places"});
  b.node("ScatterND", {"axes", "places", "place"}, {"perm"});  // [0, 1]
  b.node("Gather", {"x", "perm"}, {"y"});
  const Graph graph = b.import({.real = DType::f64, .batch = 2, .input_shapes = {}});
  CHECK(run(graph, {1, 2, 3, 4, 5, 6}) == std::vector<double>{1, 2, 3, 4, 5, 6});
}

TEST_CASE("what has no meaning is refused by name") {
  const auto error = [](const std::function<void(OnnxBuilder&)>& build) {
    OnnxBuilder b(18);
    b.input("x", {2, 4, 3}).output("y").ints("list", {4}).ints("two", {0, 4});
    build(b);
    return error_of([&] { b.import(); });
  };
  CHECK(contains(error([](OnnxBuilder& b) {
                   with_int(b.node("Gather", {"x", "list"}, {"y"}), "axis", 1);
                 }),
                 "y_node (Gather): index 4 of an axis of 4"));
  CHECK(contains(error([](OnnxBuilder& b) {
                   b.node("GatherND", {"x", "two"}, {"y"});
                 }),
                 "index 4 of an axis of 4"));
  CHECK(contains(error([](OnnxBuilder& b) {
                   b.ints("k", {5});
                   with_int(b.node("TopK", {"x", "k"}, {"y", ""}), "axis", 1);
                 }),
                 "5 of 4 elements"));
  CHECK(contains(
      error([](OnnxBuilder& b) { set_text(b.node("Einsum", {"x"}, {"y"}), "equation", "ni->n"); }),
      "equation ni->n: operand 0 has shape [1,4,3]"));
  CHECK(contains(
      error([](OnnxBuilder& b) { set_text(b.node("Einsum", {"x"}, {"y"}), "equation", "n1j->n"); }),
      "equation with '1'"));
  CHECK(contains(error([](OnnxBuilder& b) {
                   b.ints("none", {});
                   with_int(b.node("Gather", {"x", "none"}, {"y"}), "axis", 1);
                 }),
                 "nothing is chosen"));
  CHECK(contains(error([](OnnxBuilder& b) {
                   b.ints("sizes", {1, 1 << 24, 1});
                   with_text(b.node("Resize", {"x", "", "", "sizes"}, {"y"}), "mode", "cubic");
                 }),
                 "weights along axis 1"));
  CHECK(contains(error([](OnnxBuilder& b) {
                   b.ints("pads", {0, 0, 0, 0, 1, 0});
                   with_text(b.node("Pad", {"x", "pads"}, {"y"}), "mode", "mirror");
                 }),
                 "mode mirror"));
}

}  // namespace attune
