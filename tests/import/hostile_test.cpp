// Damaged and malicious models: an Error, or a model, but never anything else.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>

#include "graph/import/common/known_tensor.h"
#include "graph/ir/error.h"
#include "graph/passes/passes.h"
#include "tests/support/onnx_builder.h"

namespace attune {
namespace {

namespace fs = std::filesystem;

OnnxBuilder small_model() {
  OnnxBuilder b;
  b.input("x", {-1, 3, 8, 8}).output("y");
  b.tensor("w", {4, 3, 3, 3}).tensor("bias", {4}).tensor("fc", {8, 5}).ints("flat", {0, -1});
  set_ints(b.node("Conv", {"x", "w", "bias"}, {"c"}), "pads", {1, 1, 1, 1});
  b.node("Relu", {"c"}, {"r"});
  b.node("GlobalAveragePool", {"r"}, {"g"});
  set_int(b.node("Concat", {"g", "g"}, {"gg"}), "axis", 1);
  b.node("Shape", {"gg"}, {"shape"});
  b.ints("zero", {0}).ints("two", {2});
  b.node("Slice", {"shape", "zero", "two"}, {"lead"});
  b.node("Reshape", {"gg", "flat"}, {"f"});
  b.node("Reshape", {"f", "lead"}, {"f2"});
  b.node("MatMul", {"f2", "fc"}, {"m"});
  b.node("Softmax", {"m"}, {"y"});
  return b;
}

// Returns whether the bytes are a model.
bool survives(const std::string& bytes) {
  try {
    Graph graph = OnnxModel::parse(bytes, "hostile.onnx").import({});
    graph.verify();
    to_channels_last(graph);
    graph.verify();
    fold_constants(graph);
    graph.verify();
    return true;
  } catch (const Error& error) {
    CHECK(!contains(error.what(), "bug of Attune"));
    return false;
  }
}

// The error of a change to the small model.
template <class F>
std::string error_after(F&& change) {
  OnnxBuilder b = small_model();
  change(*b.proto().mutable_graph());
  return error_of([&] { b.import(); });
}

}  // namespace

TEST_CASE("every truncation of a model is an error or a model") {
  const std::string bytes = small_model().bytes();
  REQUIRE(survives(bytes));
  int models = 0;
  for (size_t n = 0; n < bytes.size(); ++n) models += survives(bytes.substr(0, n));
  CHECK(models < 10);  // a cut between the fields behind the graph leaves a model
}

TEST_CASE("changed bytes of a model are an error or a model") {
  const std::string bytes = small_model().bytes();
  std::mt19937 random(1);
  int models = 0;
  constexpr int kRuns = 6000;
  for (int i = 0; i < kRuns; ++i) {
    std::string changed = bytes;
    for (unsigned n = 1 + random() % 3; n > 0; --n) {
      const size_t at = random() % changed.size();
      switch (random() % 4) {
        case 0:
          changed[at] = static_cast<char>(random());
          break;
        case 1:
          changed[at] = static_cast<char>(changed[at] ^ (1 << random() % 8));
          break;
        case 2:
          changed.erase(at, 1 + random() % 4);
          break;
        case 3:
          changed.insert(at, 1, static_cast<char>(random()));
          break;
      }
    }
    models += survives(changed);
  }
  CHECK(models > 0);  // those changed in a weight alone
  CHECK(models < kRuns);
}

TEST_CASE("extreme numbers in attributes and shapes are errors or models") {
  const int64_t extremes[] = {0,         -1,        1,         2,         1 << 24,   1 << 30,
                              1LL << 31, 1LL << 40, INT64_MAX, INT64_MIN, INT32_MAX, INT32_MIN};
  for (int64_t a : extremes) {
    for (int64_t b : extremes) {
      for (const char* attribute : {"strides", "dilations", "kernel_shape", "pads"}) {
        OnnxBuilder model;
        model.input("x", {1, 2, 4, 4}).tensor("w", {2, 2, 1, 1}).output("y").output("z");
        std::vector<int64_t> values = {a, b};
        if (std::string(attribute) == "pads") values = {a, b, b, a};
        set_ints(model.node("Conv", {"x", "w"}, {"y"}), attribute, values);
        auto& pool = model.node("AveragePool", {"x"}, {"z"});
        set_ints(pool, attribute, values);
        if (std::string(attribute) != "kernel_shape") set_ints(pool, "kernel_shape", {1, 2});
        set_int(pool, "ceil_mode", 1);
        survives(model.bytes());
      }
      OnnxBuilder shapes;
      shapes.input("x", {2, a, b}).ints("to", {a, b}).ints("one", {1}).output("y").output("z");
      shapes.output("p").output("r");
      shapes.node("Reshape", {"x", "to"}, {"y"});
      shapes.node("Expand", {"x", "to"}, {"z"});
      shapes.ints("pads", {a, b, 0, 0, b, a});
      shapes.node("Pad", {"x", "pads"}, {"p"});
      shapes.node("ConstantOfShape", {"to"}, {"r"});
      survives(shapes.bytes());
      OnnxBuilder known;
      known.input("x", {2, 3}).ints("a", {a}).ints("b", {b}).ints("axis", {1}).ints("scalar", {0});
      const char* names[] = {"s", "t", "u", "v", "w", "range", "cut", "cut_known"};
      for (const char* name : names) known.output(name);
      known.node("Add", {"a", "b"}, {"s"});
      known.node("Mul", {"a", "b"}, {"t"});
      known.node("Div", {"a", "b"}, {"u"});
      known.node("Mod", {"a", "b"}, {"v"});
      known.node("Gather", {"axis", "a"}, {"w"});
      known.node("Range", {"a", "b", "axis"}, {"range"});
      known.node("Slice", {"x", "a", "b", "axis"}, {"cut"});
      known.node("Slice", {"axis", "a", "b", "scalar", "b"}, {"cut_known"});
      survives(known.bytes());
      for (int keep = 0; keep < 8; ++keep) {  // one output at a time: the others' errors aside
        OnnxBuilder one = known;
        auto& graph = *one.proto().mutable_graph();
        graph.clear_output();
        graph.add_output()->set_name(names[keep]);
        const auto node = graph.node(keep);
        graph.clear_node();
        *graph.add_node() = node;
        survives(one.bytes());
      }
    }
  }
}

TEST_CASE("tensors of too many axes are refused where the graph would hold them") {
  const std::vector<int64_t> ones(40, 1);
  for (const char* op : {"ReduceMean", "ReduceProd", "Transpose", "Squeeze", "Flatten", "Softmax",
                         "Pad", "Split", "GlobalAveragePool", "MaxPool", "Relu"}) {
    CAPTURE(std::string(op));
    OnnxBuilder b;
    b.tensor("t", ones).output("y").ints("pads", std::vector<int64_t>(80, 0));
    b.node(op,
           std::string(op) == "Pad" ? std::vector<std::string>{"t", "pads"}
                                    : std::vector<std::string>{"t"},
           {"y"});
    survives(b.bytes());
    b.proto().mutable_graph()->clear_initializer();
    b.input("t", ones);
    CHECK(!survives(b.bytes()));
  }
}

TEST_CASE("a model that does not fit together names what is wrong") {
  using Graph = onnx::GraphProto;
  CHECK(contains(error_after([](Graph& g) { g.mutable_node(1)->set_input(0, "nowhere"); }),
                 "node 'r_node' (Relu) reads 'nowhere', which nothing makes"));
  CHECK(contains(
      error_after([](Graph& g) { g.mutable_node(0)->set_input(0, "r"); }),
      "'c_node' (Conv) reads 'r' before it is made: the nodes are not sorted, or form a cycle"));
  CHECK(contains(error_after([](Graph& g) { g.mutable_node(1)->set_output(0, "c"); }),
                 "tensor 'c' is made twice"));
  CHECK(contains(error_after([](Graph& g) { g.clear_output(); }), "no outputs"));
  CHECK(contains(error_after([](Graph& g) { *g.add_output() = g.output(0); }),
                 "two outputs named 'y'"));
  CHECK(contains(error_after([](Graph& g) { g.mutable_output(0)->set_name("q"); }),
                 "nothing makes output 'q'"));
  CHECK(contains(
      error_after([](Graph& g) { g.mutable_initializer(0)->mutable_float_data()->RemoveLast(); }),
      "initializer 'w': it has 107 elements, where shape [4,3,3,3] needs 108"));
  CHECK(contains(error_after([](Graph& g) { g.mutable_initializer(0)->set_raw_data("abc"); }),
                 "initializer 'w': it has 3 bytes, where shape [4,3,3,3] needs 432"));
  for (const float broken : {NAN, INFINITY, -INFINITY})
    CHECK(contains(error_after([&](Graph& g) {
                     g.mutable_initializer(0)->mutable_float_data()->Set(5, broken);
                   }),
                   "weight 'w' holds"));
  CHECK(contains(error_after([](Graph& g) { g.mutable_initializer(0)->set_dims(0, -4); }),
                 "negative size"));
  CHECK(contains(error_after([](Graph& g) {
                   for (int i = 0; i < 4; ++i) g.mutable_initializer(0)->set_dims(i, 1LL << 40);
                 }),
                 "too large"));
  CHECK(contains(error_after([](Graph& g) { g.mutable_initializer(0)->set_data_type(99); }),
                 "element type 99 is not supported"));
  CHECK(contains(error_after([](Graph& g) {
                   g.mutable_initializer(1)->set_dims(0, 2);
                   g.mutable_initializer(1)->mutable_float_data()->Truncate(2);
                 }),
                 "c_node (Conv): its bias has shape [2], not [4]"));
  CHECK(
      contains(error_after([](Graph& g) { g.mutable_node(0)->clear_output(); }), "has no output"));
  CHECK(contains(error_after([](Graph& g) {
                   auto* shape =
                       g.mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
                   shape->mutable_dim(2)->set_dim_value(-8);
                 }),
                 "input 'x': axis 2 has the negative size -8"));
  CHECK(contains(error_after([](Graph& g) {
                   auto* branch = g.mutable_node(1);
                   branch->set_op_type("If");
                   auto* attribute = branch->add_attribute();
                   attribute->set_name("then_branch");
                   attribute->set_type(onnx::AttributeProto::GRAPH);
                   attribute->mutable_g()->set_name("then");
                 }),
                 "r_node (If): its condition"));
  CHECK(contains(error_of([] { OnnxModel::parse("", "empty.onnx"); }),
                 "empty.onnx: not an ONNX model"));
  CHECK(
      contains(error_of([] { OnnxModel::load("/does/not/exist.onnx"); }), "there is no such file"));
  CHECK(contains(error_of([] { OnnxModel::load("/"); }), "/: is not a file"));
}

TEST_CASE("external data is read beside the model, and nowhere else") {
  const fs::path folder =
      fs::temp_directory_path() / fmt::format("attune_external_{}", std::random_device{}());
  fs::create_directories(folder);
  struct Cleanup {
    fs::path folder;
    ~Cleanup() { fs::remove_all(folder); }
  } cleanup{folder};
  const float weights[6] = {9, 1, 2, 3, 4, 5};
  std::ofstream(folder / "weights.bin", std::ios::binary)
      .write(reinterpret_cast<const char*>(weights), sizeof(weights));
  const auto import = [&](const std::string& location, const std::string& offset,
                          const std::string& length) {
    OnnxBuilder b;
    b.input("x", {-1, 2}).tensor("w", {2, 2}).output("y");
    b.node("MatMul", {"x", "w"}, {"y"});
    auto* tensor = b.proto().mutable_graph()->mutable_initializer(0);
    tensor->clear_float_data();
    tensor->set_data_location(onnx::TensorProto::EXTERNAL);
    const auto add = [&](const char* key, const std::string& value) {
      if (value.empty()) return;
      auto* entry = tensor->add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    };
    add("location", location);
    add("offset", offset);
    add("length", length);
    const std::string path = (folder / "model.onnx").string();
    std::ofstream(path, std::ios::binary) << b.bytes();
    return OnnxModel::load(path).import({});
  };
  const Graph graph = import("weights.bin", "4", "16");
  const Node* linear = find_node(graph, Op::linear);
  REQUIRE(linear != nullptr);
  CHECK(graph.value(linear->inputs[1]).data->reals() == std::vector<double>{1, 3, 2, 4});
  CHECK(error_of([&] { import("weights.bin", "8", ""); }) == "");
  CHECK(contains(error_of([&] { import("weights.bin", "4", ""); }), "it has 20 bytes"));
  CHECK(contains(error_of([&] { import("weights.bin", "16", "16"); }),
                 "24 bytes, where 16 from offset 16"));
  CHECK(contains(error_of([&] { import("weights.bin", "25", ""); }), "ends before offset 25"));
  CHECK(contains(error_of([&] { import("weights.bin", "-1", "16"); }), "offset '-1'"));
  CHECK(
      contains(error_of([&] { import("other.bin", "0", "16"); }), "cannot read its external data"));
  CHECK(contains(error_of([&] { import("../weights.bin", "0", "16"); }),
                 "leaves the model's folder"));
  CHECK(contains(error_of([&] { import("/etc/passwd", "0", "16"); }), "not a relative path"));
  CHECK(contains(error_of([&] { import("", "0", "16"); }), "not a relative path"));
  CHECK(contains(error_of([&] { import(".", "0", ""); }), "external data"));
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(contains(error_of([&] { import("pipe", "0", "16"); }), "cannot read its external data"));
  fs::resize_file(folder / "weights.bin", 1 << 20);
  CHECK(contains(error_of([&] { import("weights.bin", "0", ""); }), "more than its shape holds"));

  // Other weights beside the same file are another model.
  import("weights.bin", "4", "16");
  const uint64_t hash = OnnxModel::load((folder / "model.onnx").string()).hash();
  CHECK(OnnxModel::load((folder / "model.onnx").string()).hash() == hash);
  std::ofstream(folder / "weights.bin", std::ios::binary) << std::string(24, 'x');
  CHECK(OnnxModel::load((folder / "model.onnx").string()).hash() != hash);
}

}  // namespace attune
