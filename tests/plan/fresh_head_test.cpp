// --classes: a fresh classifier in place of the model's, wherever it stands before the output.
#include <doctest/doctest.h>

#include "graph/ir/interpret.h"
#include "graph/training/head.h"
#include "tests/plan/support.h"
#include "tests/support/compiled_plan.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

// The shape of the output with 3 classes for a batch of 2, after the plan trained a step, was
// exported and imported again; or why not.
std::string trained_shape(const OnnxBuilder& b) {
  CompileOptions options;
  options.scheme = "head", options.classes = 3, options.batch = 2;
  const OnnxModel model = b.model();
  try {
    const CompiledPlan plan(model, options);
    const auto session = plan.session({});
    train(*session, 1);
    std::vector<ModelTensor> tensors;
    for (const format::Parameter* parameter : plan.parameters()) {
      ModelTensor tensor;
      tensor.name = parameter->name()->str();
      tensor.reals = in_model_order(*parameter, parameter_tensor(*session, *parameter));
      tensor.fresh = true;
      for (const int64_t d : *parameter->model_shape()) tensor.dims.push_back(d);
      tensors.push_back(tensor);
    }
    ImportOptions two;
    two.batch = 2;
    const std::string bytes = model.with_tensors(tensors, two);
    const Graph graph = OnnxModel::parse(bytes, "adapted.onnx").import(two);
    return fmt::format("{}", fmt::join(to_dims(graph.shape(graph.outputs[0].value)), ","));
  } catch (const Error& error) {
    return error.what();
  }
}

// x [N,4,6,6] -> a convolution, the classifier, behind it whatever `build` adds from "scores" to
// "y".
template <class F>
std::string behind_convolution(F&& build, int64_t kernel = 1, int64_t classes = 5) {
  OnnxBuilder b;
  b.input("x", {-1, 4, 6, 6}).output("y");
  b.tensor("w", {classes, 4, kernel, kernel}).tensor("b", {classes});
  set_ints(b.node("Conv", {"x", "w", "b"}, {"scores"}), "kernel_shape", {kernel, kernel});
  build(b);
  return trained_shape(b);
}

TEST_CASE("a convolution before ReLU and a pool is the classifier, as in SqueezeNet") {
  CHECK(behind_convolution([](OnnxBuilder& b) {
          b.node("Relu", {"scores"}, {"r"});
          b.node("GlobalAveragePool", {"r"}, {"p"});
          b.node("Flatten", {"p"}, {"y"});
        }) == "2,3");
  CHECK(behind_convolution(
            [](OnnxBuilder& b) {
              set_ints(b.node("ReduceMean", {"scores"}, {"p"}), "axes", {2, 3});
              b.ints("shape", {0, -1}).node("Reshape", {"p", "shape"}, {"y"});
            },
            3) == "2,3");
  CHECK(behind_convolution([](OnnxBuilder& b) {
          onnx::NodeProto& pool = b.node("MaxPool", {"scores"}, {"p"});
          set_ints(pool, "kernel_shape", {6, 6});
          b.node("Dropout", {"p"}, {"d"});
          b.ints("axes", {2, 3}).node("Squeeze", {"d", "axes"}, {"s"});
          set_int(b.node("Softmax", {"s"}, {"y"}), "axis", 1);
        }) == "2,3");
}

TEST_CASE("a classifier of one class is found behind a sigmoid and a pool") {
  CHECK(behind_convolution(
            [](OnnxBuilder& b) {
              b.node("GlobalAveragePool", {"scores"}, {"p"});
              b.node("Flatten", {"p"}, {"f"});
              b.node("Sigmoid", {"f"}, {"y"});
            },
            1, 1) == "2,3");
}

TEST_CASE("a fresh classifier of positions keeps the positions") {
  OnnxBuilder b;
  b.input("x", {-1, 7, 4}).output("y").tensor("w", {4, 5}).tensor("b", {5});
  b.node("MatMul", {"x", "w"}, {"a"});
  b.node("Add", {"a", "b"}, {"y"});
  const Graph before = b.import();
  Graph graph = before;
  replace_head(graph, 3, 0);
  CHECK(graph.shape(graph.outputs[0].value) == Shape{1, 7, 3});
  CompileOptions options;
  options.scheme = "head", options.classes = 3, options.batch = 2;
  const CompiledPlan plan(b.model(), options);
  train(*plan.session({}), 1);
}

TEST_CASE("a layer that shares its weight or bias, or is mixed afterwards, is not replaced") {
  OnnxBuilder tied;
  tied.input("x", {-1, 4}).output("y").tensor("w", {4, 4}).tensor("b", {4});
  tied.node("Gemm", {"x", "w", "b"}, {"a"});
  tied.node("Gemm", {"a", "w", "b"}, {"y"});
  CHECK(contains(trained_shape(tied), "w is another layer's, too"));
  CHECK(contains(behind_convolution([](OnnxBuilder& b) {
                   b.node("Flatten", {"scores"}, {"y"});  // classes and places become one axis
                 }),
                 "node y_node (reshape) comes last"));
  CHECK(contains(behind_convolution([](OnnxBuilder& b) {
                   b.tensor("each", {5, 1, 1}).node("Mul", {"scores", "each"}, {"m"});
                   b.node("GlobalAveragePool", {"m"}, {"y"});
                 }),
                 "node m_node has a number for each class"));
}

}  // namespace
}  // namespace attune::test
