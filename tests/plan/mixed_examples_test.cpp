// A model whose examples depend on the others of their batch is refused, and no other.
#include <doctest/doctest.h>

#include "graph/rules/examples.h"
#include "tests/plan/support.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

// What compiling says of x [N,4] -> mid -> y = mid W + b, or of y = mid itself.
template <class F>
std::string refusal(F&& build, std::vector<int64_t> dims = {-1, 4, 4}, int batch = 2) {
  OnnxBuilder b;
  b.input("x", dims).output("y");
  b.tensor("w", {4, 4});
  build(b);
  CompileOptions options;
  options.scheme = "full";
  options.loss = Loss::mean_squared_error;
  options.batch = batch;
  const std::string text = error_of([&] { compile(b.model(), options); });
  // It does not depend on the batch.
  options.batch = 1;
  CHECK(error_of([&] { compile(b.model(), options); }) == text);
  return text;
}

bool mixes(const std::string& text, const std::string& node) {
  return contains(text, "model.onnx: node " + node) && contains(text, "mixes the examples");
}

TEST_CASE("a mean, a softmax or a product over the batch is refused") {
  CHECK(mixes(refusal([](OnnxBuilder& b) {
                b.node("MatMul", {"x", "w"}, {"a"});
                set_ints(b.node("ReduceMean", {"a"}, {"m"}), "axes", {0});
                b.node("Sub", {"a", "m"}, {"y"});
              }),
              "m_node/reduce (reduce)"));
  CHECK(mixes(refusal([](OnnxBuilder& b) {
                b.node("MatMul", {"x", "w"}, {"a"});
                set_int(b.node("Softmax", {"a"}, {"y"}), "axis", 0);
              }),
              "y_node/softmax (softmax)"));
  CHECK(mixes(refusal(
                  [](OnnxBuilder& b) {
                    b.node("MatMul", {"x", "w"}, {"a"});
                    set_int(b.node("Gemm", {"a", "a"}, {"y"}), "transB", 1);
                  },
                  {-1, 4}),
              "y_node (matmul)"));
}

TEST_CASE("a flattened, moved, cut or joined batch is refused") {
  CHECK(contains(refusal([](OnnxBuilder& b) {
                   b.node("MatMul", {"x", "w"}, {"a"});
                   set_int(b.node("Flatten", {"a"}, {"y"}), "axis", 0);
                 }),
                 "output y has shape [1,208] for a batch of 13: its first axis must be the batch"));
  CHECK(contains(refusal([](OnnxBuilder& b) {
                   b.node("MatMul", {"x", "w"}, {"a"}), b.ints("rows", {-1, 4});
                   b.node("Reshape", {"a", "rows"}, {"y"});
                 }),
                 "output y has shape [52,4]"));
  CHECK(contains(refusal(
                     [](OnnxBuilder& b) {
                       b.node("MatMul", {"x", "w"}, {"a"});
                       set_ints(b.node("Transpose", {"a"}, {"y"}), "perm", {1, 0});
                     },
                     {-1, 4}),
                 "output y has shape [4,13]"));
  CHECK(mixes(refusal([](OnnxBuilder& b) {
                b.node("MatMul", {"x", "w"}, {"a"});
                b.ints("from", {0}).ints("to", {1}).ints("axis", {0});
                b.node("Slice", {"a", "from", "to", "axis"}, {"first"});
                b.node("Add", {"a", "first"}, {"y"});
              }),
              "first_node (slice)"));
  CHECK(mixes(refusal([](OnnxBuilder& b) {
                b.node("MatMul", {"x", "w"}, {"a"});
                set_int(b.node("Concat", {"a", "x"}, {"y"}), "axis", 0);
              }),
              "y_node (concat)"));
  CHECK(mixes(refusal([](OnnxBuilder& b) {
                b.node("MatMul", {"x", "w"}, {"a"}), b.ints("rows", {4, -1});
                b.node("Reshape", {"a", "rows"}, {"c"});
                set_int(b.node("Softmax", {"c"}, {"y"}), "axis", -1);
              }),
              "c_node (reshape)"));
}

TEST_CASE("what keeps examples apart is taken, wherever their axis is in between") {
  // The batch second, as in models of sequences, merged with the positions for a product.
  CHECK(refusal([](OnnxBuilder& b) {
          set_ints(b.node("Transpose", {"x"}, {"t"}), "perm", {1, 0, 2});
          b.node("MatMul", {"t", "w"}, {"a"});
          set_int(b.node("Softmax", {"a"}, {"s"}), "axis", 0);  // over the positions
          set_ints(b.node("Transpose", {"s"}, {"y"}), "perm", {1, 0, 2});
        }).empty());
  // Heads beside the batch: [N,4,4] to [4,2N,2] and back.
  CHECK(refusal([](OnnxBuilder& b) {
          set_ints(b.node("Transpose", {"x"}, {"t"}), "perm", {1, 0, 2});
          b.node("MatMul", {"t", "w"}, {"a"});
          b.ints("heads", {4, -1, 2}).ints("back", {4, -1, 4});
          b.node("Reshape", {"a", "heads"}, {"h"});
          set_int(b.node("Softmax", {"h"}, {"s"}), "axis", -1);
          b.node("Reshape", {"s", "back"}, {"r"});
          set_ints(b.node("Transpose", {"r"}, {"y"}), "perm", {1, 0, 2});
        }).empty());
  // A token that is spread over the batch, in front of each example's positions.
  CHECK(refusal([](OnnxBuilder& b) {
          b.tensor("token", {1, 1, 4}).ints("rest", {1, 4});
          set_int(b.node("Shape", {"x"}, {"n"}), "end", 1);
          set_int(b.node("Concat", {"n", "rest"}, {"shape"}), "axis", 0);
          b.node("Expand", {"token", "shape"}, {"tokens"});
          set_int(b.node("Concat", {"tokens", "x"}, {"c"}), "axis", 1);
          b.node("MatMul", {"c", "w"}, {"y"});
        }).empty());
}

TEST_CASE("a model for one batch alone is checked at that one") {
  const auto build = [](OnnxBuilder& b) {
    b.node("MatMul", {"x", "w"}, {"a"}), b.ints("rows", {2, 2, 4});
    b.node("Reshape", {"a", "rows"}, {"c"});
    set_ints(b.node("ReduceMean", {"c"}, {"m"}), "axes", {1});
    b.ints("flat", {2, 4}).node("Reshape", {"m", "flat"}, {"y"});
  };
  OnnxBuilder b;
  b.input("x", {4, 4}).output("y").tensor("w", {4, 4});
  build(b);
  CompileOptions options;
  options.scheme = "full", options.loss = Loss::mean_squared_error, options.batch = 4;
  CHECK(mixes(error_of([&] { compile(b.model(), options); }), "c_node (reshape)"));
}

}  // namespace
}  // namespace attune::test
