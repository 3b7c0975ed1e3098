// Random models with random options and data: each compiles, and one step gives the gradients of
// the model's own graph; or it is refused in words. Never is a bug of Attune reported.
//
// 300 networks and 1,000 graphs run each time. `ATTUNE_RANDOM_CASES=10000 build/bin/test_random`
// runs more, `ATTUNE_RANDOM_CASES=1,8121` the one of seed 8121 alone.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <map>
#include <utility>

#include "graph/ir/error.h"
#include "graph/ir/interpret.h"
#include "graph/training/autodiff.h"
#include "graph/training/head.h"
#include "sparse_update/layers.h"
#include "sparse_update/pipeline/compile_within.h"
#include "tests/random/random_network.h"
#include "tests/support/compiled_plan.h"

namespace attune::test {
namespace {

using Inputs = std::map<std::string, HostTensor>;

std::string random_scheme(Draw& draw, const Graph& graph) {
  const std::vector<Layer> layers = find_layers(graph);
  const auto before_head = static_cast<int64_t>(layers.size()) - 1;
  const int64_t count = draw.number(0, std::max<int64_t>(before_head, 0));
  switch (draw.number(0, 9)) {
    case 0:
    case 1:
      return "head";
    case 2:
      return fmt::format("last:{}", count);
    case 3:
      return fmt::format("bias:{}", count);
    case 4:
    case 5:
    case 6:
      return "full";
    default:
      break;
  }
  std::string entries;
  for (size_t i = 0; i < layers.size(); ++i) {
    if (!draw.chance(50)) continue;
    const char* side = draw.chance(50) && !layers[i].grouped ? "input" : "output";
    entries += fmt::format(R"({}{{"layer": {}, "{}_channels": {}}})", entries.empty() ? "" : ", ",
                           i, side, draw.one_of<const char*>({"0.3", "0.5", "1.0"}));
  }
  return fmt::format(R"({{"head": {}, "bias_last": {}, "layers": [{}]}})",
                     draw.chance(70) ? "true" : "false", count, entries);
}

CompileOptions random_options(Draw& draw, const RandomNetwork& network) {
  CompileOptions options;
  options.loss = network.loss;
  options.batch = static_cast<int>(draw.one_of<int64_t>({1, 1, 2, 3, 4, 6, 8}));
  options.real = DType::f64;
  options.optimizer.kind = draw.chance(60) ? OptimizerKind::sgd : OptimizerKind::momentum;
  if (draw.chance(35)) {
    std::vector<int64_t> parts;
    for (int part = 1; part <= options.batch; ++part)
      if (options.batch % part == 0) parts.push_back(part);
    options.micro_batch = static_cast<int>(draw.one_of(parts));
  }
  options.evaluate_batch = static_cast<int>(draw.number(0, 3));
  options.predict_batch = static_cast<int>(draw.number(1, 3));
  if (network.classes > 0 && draw.chance(15)) options.classes = static_cast<int>(draw.number(2, 5));
  options.fuse = draw.chance(85);
  options.stream = draw.chance(85);
  options.tile = draw.chance(50);
  options.split_gradients = draw.chance(50);
  options.remake_masks = draw.chance(40);
  options.recompute = draw.chance(70);
  return options;
}

HostTensor random_tensor(Draw& draw, DType dtype, const Shape& shape, int classes) {
  const auto count = static_cast<size_t>(shape.elements());
  if (is_real(dtype)) {
    std::vector<double> reals(count);
    for (double& x : reals) x = draw.real();
    return HostTensor::of_reals(dtype, shape, reals);
  }
  std::vector<int64_t> ints(count);
  for (int64_t& i : ints) i = draw.number(0, classes - 1);
  return HostTensor::of_ints(dtype, shape, ints);
}

// The model's own graph, differentiated whole: no pass, no plan, no arena.
struct Reference {
  double loss = 0;
  std::map<std::string, std::vector<double>> gradients;  // in the model's order
};

Graph own_graph(const Model& model, const CompileOptions& options, int batch) {
  ImportOptions import;
  import.real = options.real;
  import.batch = batch;
  Graph graph = model.import(import);
  if (options.classes > 0) replace_head(graph, options.classes, options.seed);
  return graph;
}

Inputs random_inputs(Draw& draw, const Graph& graph, int classes) {
  Inputs inputs;
  for (const Port& port : graph.inputs) {
    const Value& value = graph.value(port.value);
    inputs[port.name] = random_tensor(draw, value.dtype, value.shape, classes);
    if (port.name != "weights") continue;
    // Some examples count half, some nothing.
    std::vector<double> weights(static_cast<size_t>(value.shape.elements()));
    for (double& weight : weights) weight = draw.one_of<double>({1, 1, 0.5, 0});
    weights[0] = 1;
    inputs[port.name] = HostTensor::of_reals(value.dtype, value.shape, weights);
  }
  return inputs;
}

Reference reference_of(Graph graph, const CompileOptions& options, Draw& draw, Inputs* inputs) {
  const int classes = class_count(graph, options.loss);
  const AttachedLoss attached = attach_loss(graph, options.loss, true);
  std::vector<ValueId> wanted;
  for (size_t v = 0; v < graph.values.size(); ++v)
    if (graph.values[v].role == Role::parameter) wanted.push_back(static_cast<ValueId>(v));
  const auto gradients = differentiate(graph, attached.seed, wanted);
  *inputs = random_inputs(draw, graph, classes);
  const std::vector<HostTensor> values = interpret(graph, *inputs);
  Reference reference;
  reference.loss = values[static_cast<size_t>(graph.output("loss"))].reals()[0];
  for (const auto& [parameter, gradient] : gradients) {
    const Value& value = graph.value(parameter);
    reference.gradients[value.origin.tensor] =
        in_model_order(*Data::of_reals(values[static_cast<size_t>(gradient)].reals()), value.origin)
            ->reals();
  }
  return reference;
}

void feed(const Session& session, ProgramKind kind, const Inputs& inputs) {
  for (int p = 0; p < session.port_count(kind); ++p) {
    const SessionPort port = session.port(kind, p);
    if (port.role == PortRole::rate) *port.tensor.as<double>() = 1;
    if (!is_fed(port.role) || port.role == PortRole::rate) continue;
    const HostTensor& tensor = inputs.at(std::string(port.name));
    REQUIRE(tensor.bytes.size() == port.tensor.bytes());
    std::memcpy(port.tensor.data, tensor.bytes.data(), tensor.bytes.size());
  }
}

double norm(const std::vector<double>& x) {
  double sum = 0;
  for (const double element : x) sum += element * element;
  return std::sqrt(sum);
}

bool close(const std::vector<double>& got, const std::vector<double>& want, double scale) {
  if (got.size() != want.size()) return false;
  std::vector<double> difference(got.size());
  for (size_t i = 0; i < got.size(); ++i) difference[i] = got[i] - want[i];
  return norm(difference) <= 1e-9 * (norm(want) + scale);
}

// Numbers in the model's order, laid out as a parameter is in the plan.
std::vector<double> in_plan_order(const format::Parameter& parameter, const Shape& shape,
                                  const std::vector<double>& in_model) {
  std::vector<double> places(in_model.size()), ours(in_model.size());
  for (size_t i = 0; i < places.size(); ++i) places[i] = static_cast<double>(i);
  Tensor tensor;
  tensor.data = places.data(), tensor.dtype = DType::f64, tensor.shape = shape;
  const std::vector<double> from = in_model_order(parameter, tensor);
  for (size_t i = 0; i < from.size(); ++i) ours[static_cast<size_t>(from[i])] = in_model[i];
  return ours;
}

// What one step at rate 1 takes from each parameter is its gradient.
void check_step(const CompiledPlan& plan, const Reference& reference, const Inputs& inputs) {
  SessionOptions session_options;
  session_options.backend = BackendChoice::reference;
  session_options.poison = true;
  const auto session = plan.session(session_options);
  std::vector<std::byte> old(session->state().begin(), session->state().end());
  feed(*session, ProgramKind::train_step, inputs);
  require(session->run(ProgramKind::train_step));
  const double loss = reals_of(session->output(ProgramKind::train_step, "loss"))[0];
  CHECK(close({loss}, {reference.loss}, 1));
  for (const format::Parameter* parameter : plan.parameters()) {
    const std::string name = parameter->name()->str();
    CAPTURE(name);
    const WholeParameter after = parameter_tensor(*session, *parameter);
    const WholeParameter before(plan.plan(), old, *parameter);
    Tensor gradient = after;
    CHECK(same_outside_slice(*parameter, before, after));
    std::vector<double> expected =
        in_plan_order(*parameter, after.shape, reference.gradients.at(name));
    gradient.data = expected.data();
    std::vector<double> taken = trained_part(*parameter, before);
    const double size = norm(taken);
    const std::vector<double> left = trained_part(*parameter, after);
    for (size_t i = 0; i < taken.size(); ++i) taken[i] -= left[i];
    CHECK(close(taken, trained_part(*parameter, gradient), 1e-3 * (1 + size)));
  }
}

// The outputs of predict are those of the model's own graph.
void check_predict(const CompiledPlan& plan, const Model& model, const CompileOptions& options,
                   Draw& draw) {
  const Graph graph = own_graph(model, options, options.predict_batch);
  const Inputs inputs = random_inputs(draw, graph, 1);
  const auto expected = interpret(graph, inputs)[static_cast<size_t>(graph.outputs[0].value)];
  SessionOptions session_options;
  session_options.backend = BackendChoice::reference;
  session_options.poison = true;
  const auto session = plan.session(session_options);
  feed(*session, ProgramKind::predict, inputs);
  require(session->run(ProgramKind::predict));
  const Tensor got = session->output(ProgramKind::predict, graph.outputs[0].name);
  REQUIRE(got);
  CHECK(close(reals_of(got), expected.reals(), 1e-3));
}

// Within what a part of a plan's memory allows, as a budget of the arena or of everything.
CompiledPlan within_budget(const Model& model, CompileOptions options, const PlanContents& free,
                           Draw& draw) {
  const double share = static_cast<double>(draw.number(30, 110)) / 100;
  if (draw.chance(35)) {
    CostModel costs(1, BackendChoice::reference);
    Budget budget;
    budget.memory_bytes =
        static_cast<size_t>(share * static_cast<double>(costs.cost(free).ram_bytes()));
    if (draw.chance(70)) options.micro_batch = 0;
    options.tile = false;
    return CompiledPlan(
        compile_within(model, options, draw.chance(70), budget, costs, "the network").compiled);
  }
  int64_t arena = 0;
  for (const PlanProgram& program : free.programs)
    arena = std::max(arena, program.memory.arena_bytes);
  options.arena_budget =
      std::max<int64_t>(1, static_cast<int64_t>(share * static_cast<double>(arena)));
  options.arena_may_exceed = draw.chance(50);
  return CompiledPlan(model, options);
}

// How many plans were checked, and what was refused in words, by the beginning of these.
struct Tally {
  int plans = 0, budgets = 0;
  std::map<std::string, int> refusals;

  void refused(const std::string& text) {
    CHECK_MESSAGE(text.find("bug") == std::string::npos, text);
    CHECK_MESSAGE(!text.starts_with("plan: "), text);  // compiled, but does not load
    CHECK_MESSAGE(text.size() > 20, text);
    std::string beginning;  // without its numbers
    for (const char c : text.substr(0, 70))
      if (c < '0' || c > '9') beginning += c;
    ++refusals[beginning];
  }
};

void check_case(uint64_t seed, RandomNetwork make(Draw&), Tally& tally) {
  Draw draw(seed);
  const RandomNetwork network = make(draw);
  CompileOptions options = random_options(draw, network);
  CAPTURE(seed);
  CAPTURE(options.batch);
  CAPTURE(options.micro_batch);
  CAPTURE(options.classes);
  try {
    const Graph graph = own_graph(network.model, options, options.batch);
    options.scheme = random_scheme(draw, graph);
    CAPTURE(options.scheme);
    Inputs inputs;
    const Reference reference = reference_of(graph, options, draw, &inputs);
    const CompiledPlan plan(network.model, options);
    check_step(plan, reference, inputs);
    check_predict(plan, network.model, options, draw);
    ++tally.plans;
    if (!draw.chance(35)) return;
    const CompiledPlan smaller = within_budget(network.model, options, plan.contents(), draw);
    check_step(smaller, reference, inputs);
    check_predict(smaller, network.model, options, draw);
    ++tally.budgets;
  } catch (const Error& error) {
    tally.refused(error.what());
  }
}

// The number of cases, and the first one's seed.
std::pair<uint64_t, uint64_t> asked(uint64_t count) {
  const char* text = std::getenv("ATTUNE_RANDOM_CASES");
  uint64_t first = 1;
  if (text != nullptr) {
    char* end = nullptr;
    count = std::strtoull(text, &end, 10);
    if (*end == ',') first = std::strtoull(end + 1, nullptr, 10);
  }
  return {count, first};
}

// Runs the cases asked for, else `by_default`; `plans` and `budgets`: at least so many of a hundred
// are no refusals.
void check_cases(RandomNetwork make(Draw&), uint64_t by_default, uint64_t plans, uint64_t budgets) {
  const auto [count, first] = asked(by_default);
  Tally tally;
  for (uint64_t seed = first; seed < first + count; ++seed) check_case(seed, make, tally);
  MESSAGE(count << " cases: " << tally.plans << " plans, " << tally.budgets << " within budgets");
  for (const auto& [text, times] : tally.refusals) MESSAGE(times << " refused: " << text);
  if (count < 100) return;
  CHECK(static_cast<uint64_t>(tally.plans) * 100 >= count * plans);
  CHECK(static_cast<uint64_t>(tally.budgets) * 100 >= count * budgets);
}

TEST_CASE("random models, options and data give the gradients of the model, or are refused") {
  check_cases(random_network, 300, 85, 10);
}

TEST_CASE("random graphs of every operator, options and data do so, too") {
  check_cases(random_operators, 1000, 85, 10);
}

}  // namespace
}  // namespace attune::test
