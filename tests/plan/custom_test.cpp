// Operators of the user's own, from an ONNX node of another domain to a session: imported,
// differentiated, cut, written and loaded like any, and refused where a program does not know them.
#include "kernels/custom.h"

#include <doctest/doctest.h>

#include <cmath>

#include "attune/device_check.h"
#include "engine/format/plan_generated.h"
#include "graph/import/onnx/custom.h"
#include "graph/import/onnx/onnx_node.h"
#include "graph/ir/error.h"
#include "graph/rules/custom.h"
#include "sparse_update/pipeline/export.h"
#include "sparse_update/pipeline/verify_against_model.h"
#include "tests/plan/support.h"
#include "tests/support/custom_operators.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

constexpr ProgramKind kTrain = ProgramKind::train_step;

// x[N,4] -> linear 5 -> `type` of com.example, with a[5] -> linear 3.
OnnxModel network(const std::string& type, bool with_a = true) {
  OnnxBuilder b;
  b.input("x", {-1, 4}).output("y");
  b.tensor("first.w", {5, 4}, -0.5f, 0.07f).tensor("first.b", {5}, -0.2f, 0.1f);
  if (with_a) b.tensor("snake.a", {5}, 0.5f, 0.25f);
  b.tensor("last.w", {3, 5}, -0.4f, 0.06f).tensor("last.b", {3});
  set_int(b.node("Gemm", {"x", "first.w", "first.b"}, {"h"}), "transB", 1);
  onnx::NodeProto& node = b.node(
      type, with_a ? std::vector<std::string>{"h", "snake.a"} : std::vector<std::string>{"h"},
      {"s"});
  node.set_domain("com.example");
  if (type == "Snake") set_float(node, "strength", 0.75f);
  set_int(b.node("Gemm", {"s", "last.w", "last.b"}, {"y"}), "transB", 1);
  return b.model();
}

CompileOptions options(int micro_batch = 0, DType real = DType::f64) {
  return options_with("full", [&](CompileOptions& o) {
    o.batch = 6;
    o.micro_batch = micro_batch;
    o.real = real;
    o.expose_gradients = true;
  });
}

std::vector<double> gradients(const Compiled& compiled) {
  const LoadedPlan loaded(compiled.plan);
  SessionOptions poisoned;
  poisoned.poison = true;
  const auto session = make_session(loaded.plan(), poisoned);
  double* x = session->input(kTrain, "x").as<double>();
  for (int i = 0; i < 24; ++i) x[i] = (i * 7 % 11 - 5) / 4.0;
  for (int i = 0; i < 6; ++i) session->input(kTrain, "labels").as<int32_t>()[i] = i % 3;
  for (int i = 0; i < 6; ++i) session->input(kTrain, "weights").as<double>()[i] = 1 + i % 2;
  REQUIRE(session->run(kTrain).is_ok());
  std::vector<double> all;
  for (const char* name : {"grad:first.w", "grad:snake.a", "grad:last.w"}) {
    const Tensor gradient = session->output(kTrain, name);
    REQUIRE(gradient);
    const double* values = gradient.as<double>();
    all.insert(all.end(), values, values + gradient.shape.elements());
  }
  return all;
}

const format::Step* custom_step(const Plan& plan) {
  for (const format::Step* step : *plan.program(kTrain)->steps())
    if (static_cast<Op>(step->op()) == Op::custom) return step;
  FAIL("the plan has no operator of the user's own");
  return nullptr;
}

}  // namespace

TEST_CASE("a node of the user's own domain trains, its tensors too, as the model says") {
  register_test_operators();
  const OnnxModel model = network("Snake");
  const LoadedPlan loaded(compile(model, options(0, DType::f32)).plan);
  const VerifyReport report = verify_plan_against_model(loaded.plan(), model, nullptr, {});
  CHECK_MESSAGE(report.ok(), report.json());
  bool trained = false;
  for (const format::Parameter* parameter : *loaded.plan().table().parameters())
    trained |= parameter->name()->str() == "snake.a";
  CHECK(trained);
}

TEST_CASE("a user's operator that goes by example is cut into micro-batches") {
  register_test_operators();
  const OnnxModel model = network("Snake");
  const std::vector<double> whole = gradients(compile(model, options()));
  for (int micro : {1, 2, 3}) {
    const std::vector<double> parts = gradients(compile(model, options(micro)));
    REQUIRE(parts.size() == whole.size());
    for (size_t i = 0; i < whole.size(); ++i)
      CHECK(std::abs(parts[i] - whole[i]) <= 1e-13 * (1 + std::abs(whole[i])));
  }
}

TEST_CASE("a plan whose operator is not registered is refused by its name") {
  register_test_operators();
  const std::vector<std::byte> plan = compile(network("Snake"), options()).plan;
  const auto error_with_name = [&](std::string_view name) {
    return error_after(plan, [&](const Plan& loaded) {
      const CustomAttrs attrs = custom_attrs(name);
      const auto* ints = custom_step(loaded)->ints();
      REQUIRE(ints->size() == std::size(attrs.name));
      std::copy(std::begin(attrs.name), std::end(attrs.name), const_cast<int32_t*>(ints->data()));
    });
  };
  CHECK(error_with_name("com.example.Snake") == "");
  CHECK(contains(error_with_name("com.example.Worm"),
                 "the operator com.example.Worm is not registered in this program"));
  CHECK(contains(error_with_name(""), "is not registered"));
  // Bytes without an end are a name, too.
  CHECK(contains(error_with_name(std::string(200, 'x')),
                 std::string(47, 'x') + " is not registered"));
  // Other operators take other inputs, or do not compute in double.
  CHECK(contains(error_with_name("com.example.SnakeGrad"), "SnakeGrad takes dy, x and a"));
  CHECK(contains(error_with_name("com.example.Centre"), "no kernel in f64"));
}

TEST_CASE("operators of the user's own that are not registered are all named at once") {
  register_test_operators();
  LoadedPlan plan(compile(network("Snake"), options()).plan);
  // Their names now begin with another letter.
  for (const format::Program* program : *plan.plan().table().programs())
    for (const format::Step* step : *program->steps())
      if (static_cast<Op>(step->op()) == Op::custom)
        reinterpret_cast<char*>(const_cast<int32_t*>(step->ints()->data()))[0] = 'x';
  set_checksum(plan.bytes());
  DeviceCheck check;
  REQUIRE(check_device(plan.bytes(), "test.att", {}, {}, &check));
  CHECK_FALSE(check.fits);
  CHECK(check.lacking_operators == 3);
  Plan again;
  const Status refused = Plan::from_memory(plan.bytes(), "test.att", &again);
  for (const char* name : {"xom.example.Snake", "xom.example.SnakeGrad", "xom.example.SnakeGradA"})
    for (const char* text : {refused.message(), static_cast<const char*>(check.reason)})
      CHECK(contains(std::string(text) + ",", std::string(name) + ",") !=
            contains(text, std::string(name) + " is not registered"));
}

TEST_CASE("a plan's step is held against the shapes that a user's operator takes") {
  register_test_operators();
  const std::vector<std::byte> plan = compile(network("Snake"), options()).plan;
  // Input `place` of the step is its input `other`.
  const auto error_with_input = [&](unsigned place, unsigned other) {
    return error_after(plan, [&](const Plan& loaded) {
      const auto* inputs = custom_step(loaded)->inputs();
      const_cast<int32_t*>(inputs->data())[place] = inputs->Get(other);
    });
  };
  CHECK(error_with_input(0, 0) == "");
  CHECK(contains(error_with_input(1, 0), "a is not [C]"));
  CHECK(contains(error_with_input(0, 1), "wrong shape"));
  const auto cut_short = error_after(plan, [&](const Plan& loaded) {
    const auto* inputs = custom_step(loaded)->inputs();
    reinterpret_cast<uint32_t*>(const_cast<int32_t*>(inputs->data()))[-1] = 1;
  });
  CHECK(contains(cut_short, "Snake takes x and a"));
  const auto missing = error_after(plan, [&](const Plan& loaded) {
    const_cast<int32_t*>(custom_step(loaded)->inputs()->data())[1] = -1;
  });
  CHECK(contains(missing, "an input is missing"));
}

TEST_CASE("the compiler says what a user's operator lacks") {
  register_test_operators();
  const auto refusal = [](const OnnxModel& model, DType real = DType::f64) {
    return error_of([&] { compile(model, options(0, real)); });
  };
  CHECK(contains(refusal(network("Worm")),
                 "A program of your own may register operators of com.example"));
  CHECK(contains(refusal(network("Snake", false)), "Snake takes x and a"));
  // An operator of the user's own for gradients has none itself.
  CHECK(contains(refusal(network("Centre", false)), "no kernel in f64"));
  CHECK(contains(refusal(network("Centre", false), DType::f32), "mixes the examples of a batch"));
  static const CustomOperator plain = {.name = "com.example.Plain",
                                       .infer = kCentre.infer,
                                       .run_f32 = kCentre.run_f32,
                                       .by_example = 1};
  register_operator({.op = &plain});
  CHECK(contains(refusal(network("Plain", false), DType::f32), "(com.example.Plain)"));
}

TEST_CASE("a node may be imported as other operators, without a kernel") {
  register_import("com.example.Twice", [](OnnxNode& n) {
    n.set(0, n.emit(Op::scale, ScaleAttrs{.factor = 2}, {n.value(0)}));
  });
  const OnnxModel model = network("Twice", false);
  const Graph graph = model.import({.batch = 2, .input_shapes = {}});
  int scales = 0;
  for (const Node& node : graph.nodes) scales += node.op == Op::scale;
  CHECK(scales == 1);
}

TEST_CASE("only whole operators of a name of their own are registered") {
  register_test_operators();
  const auto wrong = [](auto&& change) {
    CustomOperator op = kCentre;
    op.name = "com.example.New";
    change(op);
    const char* text = add_custom_operator(op);
    return std::string(text == nullptr ? "" : text);
  };
  CHECK(add_custom_operator(kCentre) == nullptr);  // once more
  CHECK(
      contains(wrong([](auto& op) { op.name = kCentre.name; }), "another operator has this name"));
  CHECK(contains(wrong([](auto& op) { op.name = ""; }), "no name"));
  CHECK(contains(
      wrong([](auto& op) { op.name = "a.name.of.more.than.forty.seven.bytes.is.too.long"; }),
      "longer than 47"));
  CHECK(contains(wrong([](auto& op) { op.infer = nullptr; }), "shape"));
  CHECK(contains(wrong([](auto& op) { op.run_f32 = nullptr; }), "no kernel in f32"));
  CHECK(find_custom_operator("com.example.New") == nullptr);
  CHECK(contains(error_of([] {
                   OperatorRule rule{.op = &kCentre};
                   rule.attributes.resize(7);
                   register_operator(rule);
                 }),
                 "more attributes than parameters"));
}

}  // namespace attune::test
