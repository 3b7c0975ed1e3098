// Tables that ids look up: trained by rows, or as a whole where something else reads them.
#include <doctest/doctest.h>

#include <cstring>

#include "tests/plan/support.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

constexpr int kRows = 50, kWidth = 4;
constexpr ProgramKind kTrain = ProgramKind::train_step;

// Two fields of ids, which share a table; the rows they name, side by side, through a layer.
OnnxBuilder pairs() {
  OnnxBuilder b;
  b.int_input("a", {-1, 2}).int_input("b", {-1, 3}).output("y");
  b.tensor("table", {kRows, kWidth}, -0.9f, 0.0093f).tensor("w", {5 * kWidth, 3}, -0.3f, 0.011f);
  b.node("Gather", {"table", "a"}, {"ra"});
  b.node("Gather", {"table", "b"}, {"rb"});
  set_int(b.node("Concat", {"ra", "rb"}, {"both"}), "axis", 1);
  b.node("Flatten", {"both"}, {"flat"});
  b.node("MatMul", {"flat", "w"}, {"y"});
  return b;
}

// One field of ids; the layer that scores each row of the table is the table.
OnnxBuilder tied() {
  OnnxBuilder b;
  b.int_input("a", {-1}).output("y");
  b.tensor("table", {kRows, kWidth}, -0.9f, 0.0093f).tensor("w", {kWidth, kWidth}, -0.5f, 0.07f);
  b.node("Gather", {"table", "a"}, {"r"});
  b.node("MatMul", {"r", "w"}, {"h"});
  b.node("Tanh", {"h"}, {"t"});
  set_int(b.node("Gemm", {"t", "table"}, {"y"}), "transB", 1);
  return b;
}

CompileOptions options(OptimizerKind kind, bool exposed) {
  return options_with("full", [&](CompileOptions& o) {
    o.real = DType::f64;
    o.optimizer = {.kind = kind};
    o.expose_gradients = exposed;
  });
}

std::vector<double> table_of(const Session& session) {
  std::vector<double> reals(static_cast<size_t>(kRows) * kWidth);
  const auto& parameters = *session.plan().table().parameters();
  for (unsigned i = 0; i < parameters.size(); ++i)
    if (parameters.Get(i)->name()->str() == "table")
      std::memcpy(reals.data(), session.state().data() + parameters.Get(i)->state_offset(),
                  reals.size() * sizeof(double));
  return reals;
}

void feed(Session& session, const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
  fill_inputs(session, kTrain, 1);
  std::copy(a.begin(), a.end(), session.input(kTrain, "a").as<int32_t>());
  std::copy(b.begin(), b.end(), session.input(kTrain, "b").as<int32_t>());
}

const std::vector<int32_t> kA = {3, 7, 7, 3, 0, 49, 3, 3},
                           kB = {7, 7, 1, 2, 3, 4, 0, 0, 0, 49, 8, 7};
const std::vector<int32_t> kNamed = {0, 1, 2, 3, 4, 7, 8, 49};

}  // namespace

TEST_CASE("a table that is only looked up is updated by rows, and has no gradient of its size") {
  const Compiled compiled = compile(pairs().model(), options(OptimizerKind::adam, false));
  const Graph& graph = compiled.contents.programs.front().graph;
  CHECK(count_ops(graph, Op::take_grad) == 0);
  CHECK(count_ops(graph, Op::take_adam) == 1);  // for both look-ups
  for (const Value& value : graph.values)
    if (value.role == Role::temporary && value.updates == kNone && value.producer != kNone)
      CHECK(value.shape.elements() < int64_t{kRows} * kWidth);
}

TEST_CASE("rows get what the whole gradient gives them, and others stay as they are") {
  for (const OptimizerKind kind :
       {OptimizerKind::sgd, OptimizerKind::momentum, OptimizerKind::adam}) {
    for (const int threads : {1, 3}) {
      CAPTURE(static_cast<int>(kind));
      const Compiled compiled = compile(pairs().model(), options(kind, true));
      const LoadedPlan loaded(compiled.plan);
      const auto session = make_session(loaded.plan(), {.threads = threads});
      feed(*session, kA, kB);
      *session->port(kTrain, PortRole::rate).tensor.as<double>() = 0.1;
      const std::vector<double> before = table_of(*session);
      REQUIRE(session->run(kTrain));
      const std::vector<double> after = table_of(*session);
      const double* gradient = session->output(kTrain, "grad:table").as<double>();
      for (size_t i = 0; i < before.size(); ++i) {
        const bool named = std::ranges::count(kNamed, static_cast<int32_t>(i) / kWidth) > 0;
        CHECK((gradient[i] != 0) == named);
        if (!named) CHECK(after[i] == before[i]);
        if (!named) continue;
        // The first step of momentum is SGD's; that of Adam is of the rate's size.
        const double step = kind == OptimizerKind::adam
                                ? gradient[i] / (std::abs(gradient[i]) + 1e-8)
                                : gradient[i];
        CHECK(after[i] == doctest::Approx(before[i] - 0.1 * step).epsilon(1e-12));
      }
      // Rows that the next batch does not name keep still, their velocities, too.
      feed(*session, {5, 5, 5, 5, 5, 5, 5, 5}, {5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5});
      *session->port(kTrain, PortRole::rate).tensor.as<double>() = 0.1;
      REQUIRE(session->run(kTrain));
      const std::vector<double> later = table_of(*session);
      for (size_t i = 0; i < later.size(); ++i)
        CHECK((later[i] != after[i]) == (static_cast<int>(i) / kWidth == 5));
    }
  }
}

// Their sums are there as a whole, but rows that no example names stay as they are, all the same.
TEST_CASE("micro-batches update the same rows, by the same sums") {
  for (const OptimizerKind kind : {OptimizerKind::momentum, OptimizerKind::adam}) {
    std::vector<std::vector<double>> tables;
    for (const int micro_batch : {0, 2}) {
      CompileOptions o = options(kind, false);
      o.micro_batch = micro_batch;
      const Compiled compiled = compile(pairs().model(), o);
      const LoadedPlan loaded(compiled.plan);
      const auto session = make_session(loaded.plan());
      for (const int32_t shift : {0, 1}) {
        std::vector<int32_t> a = kA, b = kB;
        for (auto* ids : {&a, &b})
          for (int32_t& id : *ids) id = (id + shift * 10) % kRows;
        feed(*session, a, b);
        *session->port(kTrain, PortRole::rate).tensor.as<double>() = 0.1;
        if (const SessionPort step = session->port(kTrain, PortRole::step))
          *step.tensor.as<int32_t>() = 1 + shift;
        REQUIRE(session->run(kTrain));
      }
      tables.push_back(table_of(*session));
    }
    for (size_t i = 0; i < tables[0].size(); ++i)
      CHECK(tables[1][i] == doctest::Approx(tables[0][i]).epsilon(1e-9));
  }
}

TEST_CASE("rows of examples that weigh nothing stay as they are") {
  const Compiled compiled = compile(pairs().model(), options(OptimizerKind::momentum, false));
  const LoadedPlan loaded(compiled.plan);
  const auto session = make_session(loaded.plan());
  const auto step = [&](double weight) {
    feed(*session, kA, kB);
    const Tensor weights = session->input(kTrain, "weights");
    std::fill_n(weights.as<double>(), weights.shape.elements(), weight);
    *session->port(kTrain, PortRole::rate).tensor.as<double>() = 0.1;
    REQUIRE(session->run(kTrain));
    return table_of(*session);
  };
  const std::vector<double> after = step(1);
  CHECK(step(0) == after);  // for all that they have velocities
}

TEST_CASE("a table that scores, too, gets the sum of both gradients") {
  const Compiled compiled = compile(tied().model(), options(OptimizerKind::sgd, true));
  const Graph& graph = compiled.contents.programs.front().graph;
  CHECK(count_ops(graph, Op::take_grad) == 1);
  CHECK(count_ops(graph, Op::take_sgd) == 0);
  const LoadedPlan loaded(compiled.plan);
  // By central differences of the loss.
  const auto loss_at = [&](int place, double by) {
    const auto session = make_session(loaded.plan());
    fill_inputs(*session, kTrain, 1);
    const auto& parameters = *loaded.plan().table().parameters();
    for (unsigned i = 0; i < parameters.size(); ++i)
      if (parameters.Get(i)->name()->str() == "table")
        reinterpret_cast<double*>(session->state().data() +
                                  parameters.Get(i)->state_offset())[place] += by;
    *session->port(kTrain, PortRole::rate).tensor.as<double>() = 0;
    REQUIRE(session->run(kTrain));
    const double* gradient = session->output(kTrain, "grad:table").as<double>();
    return std::pair(*session->output(kTrain, "loss").as<double>(), gradient[place]);
  };
  for (int place = 0; place < kRows * kWidth; place += 7) {
    const double above = loss_at(place, 1e-6).first, below = loss_at(place, -1e-6).first;
    CHECK(loss_at(place, 0).second == doctest::Approx((above - below) / 2e-6).epsilon(1e-6));
  }
}

}  // namespace attune::test
