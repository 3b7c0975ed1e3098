// Parameters of which a slice is trained: the state holds the slice, the constants the rest, and
// all else is as if the state held the whole.
#include <doctest/doctest.h>

#include "attune/checkpoint.h"
#include "attune/parameters.h"
#include "sparse_update/pipeline/model_tensors.h"
#include "tests/plan/support.h"
#include "tests/support/compiled_plan.h"
#include "tests/support/files.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

constexpr ProgramKind kTrain = ProgramKind::train_step;

// x[N,24,3,3] -> convolution 1x1 to 40 channels -> relu -> average -> linear 32 -> relu ->
// linear 4.
OnnxModel network() {
  OnnxBuilder b;
  b.input("x", {-1, 24, 3, 3}).output("y");
  b.tensor("conv.w", {40, 24, 1, 1}, -0.3f, 0.013f).tensor("conv.b", {40}, -0.1f, 0.03f);
  b.tensor("mid.w", {32, 40}, -0.2f, 0.017f).tensor("mid.b", {32}, -0.1f, 0.02f);
  b.tensor("last.w", {4, 32}, -0.4f, 0.06f).tensor("last.b", {4});
  b.node("Conv", {"x", "conv.w", "conv.b"}, {"c"});
  b.node("Relu", {"c"}, {"r"});
  b.node("GlobalAveragePool", {"r"}, {"p"});
  b.node("Flatten", {"p"}, {"f"});
  set_int(b.node("Gemm", {"f", "mid.w", "mid.b"}, {"m"}), "transB", 1);
  b.node("Relu", {"m"}, {"h"});
  set_int(b.node("Gemm", {"h", "last.w", "last.b"}, {"y"}), "transB", 1);
  return b.model();
}

// Channels together, apart, and all but the first.
const char* const kSchemes[] = {
    R"({"parameters": [{"name": "conv.w", "input_channels": [0, 1, 2]},
                       {"name": "mid.w", "output_channels": [1, 5, 6, 30]}, {"name": "last.b"}]})",
    R"({"parameters": [{"name": "conv.w", "output_channels": [3, 4, 39]},
                       {"name": "mid.w", "input_channels": [0, 7, 39]}, {"name": "mid.b"}]})",
};

CompileOptions options(const char* scheme, bool narrow, DType real = DType::f32,
                       int micro_batch = 0) {
  return options_with(scheme, [&](CompileOptions& o) {
    o.narrow = narrow;
    o.real = real;
    o.micro_batch = micro_batch;
    o.optimizer.kind = OptimizerKind::momentum;
  });
}

int narrow_count(const CompiledPlan& plan) {
  int count = 0;
  for (const format::Parameter* parameter : plan.parameters()) count += parameter->narrow();
  return count;
}

std::vector<std::byte> value_of(const Session& session, int index, std::string_view slot) {
  std::vector<std::byte> bytes(parameter(session.plan(), index).bytes());
  require(get_parameter(session, index, bytes, slot));
  return bytes;
}

void check_same_parameters(const Session& a, const Session& b) {
  REQUIRE(parameter_count(a.plan()) == parameter_count(b.plan()));
  for (int i = 0; i < parameter_count(a.plan()); ++i)
    for (const char* slot : {"value", "velocity"}) {
      CAPTURE(std::string(parameter(a.plan(), i).name));
      CHECK(value_of(a, i, slot) == value_of(b, i, slot));
    }
}

std::vector<double> predicted(Session& session) {
  fill_inputs(session, ProgramKind::predict, 7);
  require(session.run(ProgramKind::predict));
  return reals_of(session.output(ProgramKind::predict, "output"));
}

TEST_CASE("a narrow parameter trains to the bits of the whole, in less memory") {
  const OnnxModel model = network();
  for (const char* scheme : kSchemes)
    for (const DType real : {DType::f32, DType::f64})
      for (const int micro_batch : {0, 2}) {
        CAPTURE(std::string(scheme));
        CAPTURE(micro_batch);
        const CompiledPlan narrow(model, options(scheme, true, real, micro_batch));
        const CompiledPlan whole(model, options(scheme, false, real, micro_batch));
        CHECK(narrow_count(narrow) >= 1);
        CHECK(narrow_count(whole) == 0);
        const auto &small = narrow.plan().table(), &large = whole.plan().table();
        CHECK(small.state_bytes() + small.arena_bytes() <
              large.state_bytes() + large.arena_bytes());
        const auto a = narrow.session({.poison = true}), b = whole.session({.poison = true});
        check_same_parameters(*a, *b);
        train(*a, 3), train(*b, 3);
        check_same_parameters(*a, *b);
        CHECK(predicted(*a) == predicted(*b));
        CHECK(narrow.intact());
      }
}

TEST_CASE("the frozen part of a narrow parameter is the model's, and stays so") {
  const CompiledPlan plan(network(), options(kSchemes[0], true));
  const auto session = plan.session({});
  int index = 0;
  require(find_parameter(plan.plan(), "conv.w", &index));
  const std::vector<std::byte> before = value_of(*session, index, "value");
  train(*session, 2);
  std::vector<std::byte> after = value_of(*session, index, "value");
  // Of each filter's 24 weights the first three are trained.
  for (size_t i = 0; i < before.size() / 4; ++i)
    CHECK((std::memcmp(&before[4 * i], &after[4 * i], 4) == 0) == (i % 24 >= 3));
  const float other = 0.25f;
  std::memcpy(&after[4 * 2], &other, 4);
  require(set_parameter(*session, index, after));
  CHECK(value_of(*session, index, "value") == after);
  std::memcpy(&after[4 * 3], &other, 4);
  const Status refused = set_parameter(*session, index, after);
  REQUIRE_FALSE(refused);
  CHECK(contains(std::string(refused.message()),
                 "'conv.w', element [0,3,0,0] of its value is frozen"));
}

TEST_CASE("checkpoints go from narrow to whole parameters and back") {
  TempFolder files;
  const OnnxModel model = network();
  const CompiledPlan narrow(model, options(kSchemes[1], true)),
      whole(model, options(kSchemes[1], false));
  for (const bool to_whole : {true, false}) {
    const auto from = (to_whole ? narrow : whole).session({});
    const auto to = (to_whole ? whole : narrow).session({});
    train(*from, 2);
    const std::string path = files.path(to_whole ? "narrow.ckpt" : "whole.ckpt");
    require(save_checkpoint(path.c_str(), *from, {}));
    require(load_checkpoint(path.c_str(), *to, nullptr));
    check_same_parameters(*from, *to);
    train(*from, 1), train(*to, 1);
    check_same_parameters(*from, *to);
    const auto exported = trained_tensors(from->plan(), from->state()),
               again = trained_tensors(to->plan(), to->state());
    REQUIRE(exported.size() == again.size());
    for (size_t i = 0; i < exported.size(); ++i) CHECK(exported[i].reals == again[i].reals);
  }
}

TEST_CASE("tables, and what is hardly worth a step, stay whole") {
  OnnxBuilder b;
  b.int_input("ids", {-1, 3}).output("y");
  b.tensor("table", {200, 16}, -0.4f, 0.001f).tensor("w", {5, 48}, -0.4f, 0.06f);
  b.node("Gather", {"table", "ids"}, {"rows"});
  b.node("Flatten", {"rows"}, {"f"});
  set_int(b.node("Gemm", {"f", "w"}, {"y"}), "transB", 1);
  const CompiledPlan plan(
      b.model(),
      options(R"({"parameters": [{"name": "w", "output_channels": [0]}, {"name": "table"}]})",
              true));
  CHECK(narrow_count(plan) == 0);
}

TEST_CASE("where a narrow parameter lies is checked when a plan is loaded") {
  const auto bytes = compile(network(), options(kSchemes[0], true)).plan;
  const auto error = [&](auto&& change) {
    return error_after(bytes, [&](const Plan& loaded) {
      for (const format::Parameter* p : *loaded.table().parameters())
        if (p->narrow()) return change(p, loaded.table());
    });
  };
  const auto moved = [&](uint64_t to) {
    return error([&](const format::Parameter* p, const format::Plan&) {
      if (p->frozen_offset() > 0) REQUIRE(set_field(p, format::Parameter::VT_FROZEN_OFFSET, to));
    });
  };
  CHECK(contains(moved(uint64_t{1} << 40), "is outside the constants"));
  CHECK(contains(moved(~uint64_t{0} - 63), "is outside the constants"));
  CHECK(contains(moved(68), "is outside the constants"));
  // As if the state held all of it.
  CHECK(contains(error([&](const format::Parameter* p, const format::Plan& table) {
                   REQUIRE(set_field(p, format::Parameter::VT_NARROW, uint8_t{0}));
                   if (p->state_offset() > 0)
                     REQUIRE(set_field(p, format::Parameter::VT_STATE_OFFSET,
                                       (table.state_bytes() - 64) / 64 * 64));
                 }),
                 "is outside the state"));
}

}  // namespace
}  // namespace attune::test
