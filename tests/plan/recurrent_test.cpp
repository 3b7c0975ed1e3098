// Recurrent layers in schemes and plans.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "sparse_update/layers.h"
#include "sparse_update/scheme.h"
#include "tests/plan/support.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

// x[N,5,3] -> gru of 4 units, its weights in the exporter's order or put together from `hh` -> its
// last state -> gemm -> scores[N,3]
OnnxModel recurrent(bool computed) {
  OnnxBuilder b;
  b.input("x", {-1, 5, 3}).output("scores");
  b.tensor("ih", {1, 12, 3}, -0.3f, 0.02f).tensor("bias", {1, 24}, 0.1f, -0.01f);
  if (computed) {
    b.tensor("hh", {12, 4}, 0.2f, -0.01f).ints("first", {0});
    std::vector<std::string> parts;
    for (const int gate : {1, 0, 2}) {
      const std::string name = "gate" + std::to_string(gate);
      b.ints(name + "_from", {gate * 4}).ints(name + "_to", {gate * 4 + 4});
      b.node("Slice", {"hh", name + "_from", name + "_to"}, {name});
      parts.push_back(name);
    }
    set_int(b.node("Concat", parts, {"rows"}), "axis", 0);
    b.node("Unsqueeze", {"rows", "first"}, {"hh_layer"});
  } else {
    b.tensor("hh_layer", {1, 12, 4}, 0.2f, -0.01f);
  }
  auto& gru = b.node("GRU", {"x", "ih", "hh_layer", "bias"}, {"", "state"});
  set_int(gru, "layout", 1);
  set_int(gru, "linear_before_reset", 1);
  b.node("Flatten", {"state"}, {"flat"});
  b.tensor("head", {3, 4}, -0.5f, 0.1f).tensor("head_bias", {3});
  set_int(b.node("Gemm", {"flat", "head", "head_bias"}, {"scores"}), "transB", 1);
  return b.model();
}

std::vector<std::string> names_of(const Scheme& scheme) {
  std::vector<std::string> names;
  for (const TrainedSlice& slice : scheme.slices) names.push_back(slice.parameter);
  std::sort(names.begin(), names.end());
  return names;
}
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a recurrent layer is two, of its input and of its state") {
  for (const bool computed : {false, true}) {
    CAPTURE(computed);
    const Graph graph = forward_graph(recurrent(computed), CompileOptions(), 1);
    const std::vector<Layer> layers = find_layers(graph);
    REQUIRE(layers.size() == 3);
    const auto tensor = [&](ValueId id) { return graph.value(id).origin.tensor; };
    const std::string state = computed ? "hh" : "hh_layer";
    CHECK(tensor(layers[0].weight) == "ih");
    CHECK(layers[0].bias == kNone);
    CHECK(tensor(layers[1].weight) == state);
    CHECK(tensor(layers[1].bias) == "bias");
    const int front = computed ? 0 : 1;
    CHECK(std::pair(layers[1].input_axis, layers[1].output_axis) == std::pair(1 + front, front));
    CHECK(names_of(parse_scheme("last:1", graph)) == Names{"bias", "head", "head_bias", state});
    CHECK(names_of(parse_scheme("bias:1", graph)) == Names{"bias", "head", "head_bias"});
    CHECK(parse_scheme("full", graph).slices.size() == 5);
  }
}

namespace {

// One training step of an untrained plan: what its ports give.
std::map<std::string, std::vector<double>> step(const OnnxModel& model, const std::string& scheme,
                                                int micro_batch = 0) {
  const Compiled compiled = compile(model, options_with(scheme, [&](CompileOptions& o) {
                                      o.real = DType::f64;
                                      o.micro_batch = micro_batch;
                                      o.expose_gradients = true;
                                    }));
  const LoadedPlan loaded(compiled.plan);
  const auto session = make_session(loaded.plan());
  fill_inputs(*session, ProgramKind::train_step, 4);
  REQUIRE(session->run(ProgramKind::train_step).is_ok());
  std::map<std::string, std::vector<double>> results;
  for (const Port& port : compiled.contents.programs[0].graph.outputs) {
    const Tensor out = session->output(ProgramKind::train_step, port.name);
    REQUIRE(out);
    results[port.name].assign(out.as<double>(), out.as<double>() + out.shape.elements());
  }
  return results;
}

}  // namespace

TEST_CASE("the gradient of a part of a recurrent layer's weights is that part of the whole one") {
  for (const bool computed : {false, true}) {
    CAPTURE(computed);
    const OnnxModel model = recurrent(computed);
    const std::string port = computed ? "grad:hh" : "grad:hh_layer";
    const std::vector<double> whole = step(model, "full").at(port);
    REQUIRE(whole.size() == 48);
    CHECK(*std::max_element(whole.begin(), whole.end()) > 1e-3);
    const auto columns =
        step(model, R"({"layers": [{"layer": 1, "input_channels": [0, 2]}]})").at(port);
    const auto rows =
        step(model, R"({"layers": [{"layer": 1, "output_channels": [3, 11]}]})").at(port);
    REQUIRE(columns.size() == 24);
    REQUIRE(rows.size() == 8);
    for (size_t i = 0; i < 24; ++i) CHECK(columns[i] == whole[i / 2 * 4 + i % 2 * 2]);
    for (size_t i = 0; i < 8; ++i) CHECK(rows[i] == whole[(i < 4 ? 12 : 40) + i]);
  }
}

TEST_CASE("micro-batches of a recurrent net add up to the gradients of the whole batch") {
  const OnnxModel model = recurrent(false);
  const auto whole = step(model, "full"), parts = step(model, "full", 2);
  int compared = 0;
  for (const auto& [port, values] : whole) {
    if (!port.starts_with("grad:")) continue;
    CAPTURE(port);
    REQUIRE(parts.at(port).size() == values.size());
    for (size_t i = 0; i < values.size(); ++i)
      CHECK(std::fabs(parts.at(port)[i] - values[i]) < 1e-12);
    ++compared;
  }
  CHECK(compared == 5);
}

}  // namespace attune::test
