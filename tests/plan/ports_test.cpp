// The ports of programs: what they are for, and what is checked of them.
#include <doctest/doctest.h>

#include <string>

#include "engine/format/plan_generated.h"
#include "graph/ir/error.h"
#include "tests/plan/support.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

constexpr ProgramKind kTrain = ProgramKind::train_step;

// x[N,4] and rows of a table [6,2] for ids[N,3], which pass through a reshape and a slice.
OnnxModel ids_model() {
  OnnxBuilder b;
  b.input("x", {-1, 4}).int_input("ids", {-1, 3}).output("y").tensor("table", {6, 2});
  b.ints("from", {0}).ints("to", {2}).ints("axis", {1}).ints("flat", {-1, 4});
  b.node("Slice", {"ids", "from", "to", "axis"}, {"two"});
  b.node("Gather", {"table", "two"}, {"rows"});
  b.node("Reshape", {"rows", "flat"}, {"features"});
  b.node("Add", {"x", "features"}, {"both"});
  b.tensor("w", {3, 4}, -0.3f, 0.1f).tensor("b", {3});
  set_int(b.node("Gemm", {"both", "w", "b"}, {"y"}), "transB", 1);
  return b.model();
}

std::vector<std::byte> ids_plan() {
  return compile(ids_model(), options_with("full",
                                           [](CompileOptions& o) {
                                             o.optimizer.kind = OptimizerKind::adam;
                                             o.expose_gradients = true;
                                           }))
      .plan;
}

// The error of loading a plan where a field of a port of train_step is another.
template <class T>
std::string error_with(const std::string& port_name, unsigned field, T value) {
  return error_after(ids_plan(), [&](const Plan& plan) {
    for (const format::Port* port : *plan.program(kTrain)->ports())
      if (port->name()->str() == port_name) REQUIRE(set_field(port, field, value));
  });
}

}  // namespace

TEST_CASE("ports tell what they are for, in an order that callers may rely on") {
  LoadedPlan loaded(ids_plan());
  const auto session = make_session(loaded.plan());
  std::string ports;
  for (int i = 0; i < session->port_count(kTrain); ++i) {
    const SessionPort port = session->port(kTrain, i);
    ports += fmt::format("{} {} {} {}\n", role_name(port.role), port.name,
                         dtype_name(port.tensor.dtype), port.limit);
  }
  CHECK(ports ==
        "input x f32 0\ninput ids i32 6\nlabel labels i32 3\nweight weights f32 0\n"
        "rate learning_rate f32 0\nstep step i32 0\nmetric correct f32 0\nloss loss f32 0\n"
        "gradient grad:table f32 0\ngradient grad:w f32 0\ngradient grad:b f32 0\n");
  CHECK(session->port(kTrain, PortRole::input, 1).name == "ids");
  CHECK(!session->port(kTrain, PortRole::input, 2));
  CHECK(!session->port(kTrain, PortRole::target));
  CHECK(!session->port(kTrain, -1));
  CHECK(!session->port(kTrain, session->port_count(kTrain)));
  // By name, a port is found on its side only.
  CHECK(session->input(kTrain, "labels"));
  CHECK(!session->output(kTrain, "labels"));
  CHECK(!session->input(kTrain, "loss"));
  const SessionPort first = session->port(ProgramKind::predict, PortRole::output);
  CHECK(first.name == "y");
  CHECK(session->output(ProgramKind::predict, "output").data == first.tensor.data);
}

TEST_CASE("a run checks ids and labels against their ports, before it changes anything") {
  LoadedPlan loaded(ids_plan());
  const auto session = make_session(loaded.plan());
  const std::vector<std::byte> before(session->state().begin(), session->state().end());
  const auto error = [&](const char* port, int place, int32_t value) {
    fill_inputs(*session, kTrain, 3);
    session->input(kTrain, port).as<int32_t>()[place] = value;
    return std::string(session->run(kTrain).message());
  };
  CHECK(contains(error("ids", 7, 6), "ids holds 6 for example 2 of the batch"));
  CHECK(contains(error("ids", 0, -1), "is not in 0 .. 5"));
  CHECK(contains(error("labels", 3, 3), "labels holds 3 for example 3 of the batch"));
  CHECK(std::equal(before.begin(), before.end(), session->state().begin()));
  CHECK(error("ids", 0, 5) == "");
  CHECK(!std::equal(before.begin(), before.end(), session->state().begin()));
}

TEST_CASE("ports that their roles do not fit are refused") {
  CHECK(error_with<uint8_t>("ids", format::Port::VT_ROLE, 0) == "");
  CHECK(contains(error_with<uint8_t>("labels", format::Port::VT_ROLE, 99), "unknown role"));
  CHECK(contains(error_with<int32_t>("ids", format::Port::VT_LIMIT, -2), "limit"));
  CHECK(contains(error_with<int32_t>("ids", format::Port::VT_TENSOR, 9999), "is no tensor"));
  CHECK(contains(error_with<int32_t>("ids", format::Port::VT_TENSOR, -1), "is no tensor"));
  const auto loss = static_cast<uint8_t>(PortRole::loss);
  const auto rate = static_cast<uint8_t>(PortRole::rate);
  const auto weight = static_cast<uint8_t>(PortRole::weight);
  const auto step = static_cast<uint8_t>(PortRole::step);
  CHECK(contains(error_with<uint8_t>("labels", format::Port::VT_ROLE, loss), "its role"));
  CHECK(contains(error_with<uint8_t>("labels", format::Port::VT_ROLE, weight), "its role"));
  CHECK(contains(error_with<uint8_t>("weights", format::Port::VT_ROLE, rate), "its role"));
  CHECK(contains(error_with<uint8_t>("weights", format::Port::VT_ROLE, step), "its role"));
  CHECK(contains(error_with<uint8_t>("grad:w", format::Port::VT_ROLE, rate), "port grad:w"));
}

}  // namespace attune::test
