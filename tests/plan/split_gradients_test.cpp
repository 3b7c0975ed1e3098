#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <tuple>

#include "engine/random.h"
#include "graph/ir/interpret.h"
#include "graph/memory/lower_peak.h"
#include "graph/memory/storage.h"
#include "graph/passes/passes.h"
#include "graph/plan/read_plan.h"
#include "graph/training/autodiff.h"
#include "graph/training/loss.h"
#include "sparse_update/pipeline/preprocess_spec.h"
#include "sparse_update/prune.h"
#include "tests/plan/support.h"

namespace attune::test {
namespace {

// A training step whose peak is at the gradients of its two weights: x[2,3,3,32] -> conv 3x3 ->
// tanh -> linear -> cross entropy.
class Training {
 public:
  explicit Training(const Optimizer& optimizer, std::vector<TrainedSlice> slices) {
    graph.real = DType::f64;
    const ValueId x = graph.add_input("x", graph.real, {2, 3, 3, 32});
    Conv2dAttrs same;
    same.pad_top = same.pad_left = same.pad_bottom = same.pad_right = 1;
    ValueId y = graph.emit(Op::conv2d, same, {x, parameter("conv.weight", {64, 3, 3, 32})}, "conv");
    y = graph.emit(Op::tanh, NoAttrs{}, {y}, "tanh");
    const Shape flat{2, 576};
    y = graph.emit(Op::reshape, NoAttrs{}, {y}, "flat", &flat);
    y = graph.emit(Op::linear, LinearAttrs{}, {y, parameter("fc.weight", {40, 576})}, "fc");
    graph.outputs.push_back({"scores", y});
    const AttachedLoss loss = attach_loss(graph, Loss::cross_entropy, true);
    Scheme scheme;
    scheme.slices = std::move(slices);
    mark_trained(graph, scheme);
    updates = prune(graph, scheme, differentiate(graph, loss.seed, parameters_));
    append_optimizer(graph, optimizer, updates);
    remove_dead(graph);
    schedule(graph);
  }

  std::vector<HostTensor> run(const Graph& which) const {
    std::map<std::string, HostTensor> inputs;
    Random random(3, 0);
    for (const Port& port : which.inputs) {
      const Value& value = which.value(port.value);
      std::vector<double> reals(static_cast<size_t>(value.shape.elements()));
      for (double& r : reals) r = static_cast<double>(random.below(1000)) / 1000 + 0.1;
      inputs[port.name] = is_real(value.dtype)
                              ? HostTensor::of_reals(value.dtype, value.shape, reals)
                              : HostTensor::of_ints(value.dtype, value.shape,
                                                    std::vector<int64_t>(reals.size(), 7));
    }
    return interpret(which, inputs);
  }

  Graph graph;
  std::vector<Update> updates;

 private:
  ValueId parameter(const char* name, Shape shape) {
    Value value;
    value.name = value.origin.tensor = name;
    value.dtype = graph.real;
    value.shape = shape;
    value.role = Role::parameter;
    Random random(static_cast<uint64_t>(shape.elements()), 1);
    std::vector<double> reals(static_cast<size_t>(shape.elements()));
    for (double& r : reals) r = static_cast<double>(random.below(2001)) / 10000 - 0.1;
    value.data = Data::of_reals(std::move(reals));
    parameters_.push_back(graph.add_value(std::move(value)));
    return parameters_.back();
  }
  std::vector<ValueId> parameters_;
};

// What a parameter or a state holds after the step: later updates lie on earlier ones.
std::vector<double> after(const Graph& graph, const std::vector<HostTensor>& values, ValueId held) {
  std::vector<double> result = values[static_cast<size_t>(held)].reals();
  for (const Node& node : graph.nodes) {
    if (op_info(node.op).kind != OpKind::update) continue;
    for (ValueId made : node.outputs) {
      ValueId old = graph.value(made).updates;
      while (graph.value(old).updates != kNone) old = graph.value(old).updates;
      if (graph.root(old) != held) continue;
      const std::vector<double> part = values[static_cast<size_t>(made)].reals();
      std::copy(part.begin(), part.end(), result.begin() + graph.value(old).lies_at);
    }
  }
  return result;
}

TrainedSlice all_of(const char* parameter) {
  TrainedSlice slice;
  slice.parameter = parameter;
  return slice;
}

size_t update_count(const Graph& graph) {
  return static_cast<size_t>(std::count_if(graph.nodes.begin(), graph.nodes.end(), [](auto& node) {
    return op_info(node.op).kind == OpKind::update;
  }));
}

TEST_CASE("gradients in strips update every element as whole ones do") {
  const std::vector<Optimizer> optimizers = {
      {.kind = OptimizerKind::sgd},
      {.kind = OptimizerKind::momentum, .nesterov = true, .weight_decay = 0.1},
      {.kind = OptimizerKind::adam},
      {.kind = OptimizerKind::adamw, .weight_decay = 0.1}};
  std::vector<int64_t> some;
  for (int64_t c = 1; c < 32; c += 2) some.push_back(c);
  const std::vector<std::vector<TrainedSlice>> schemes = {
      {all_of("conv.weight"), all_of("fc.weight")},
      {{"conv.weight", 0, false, some}, all_of("fc.weight")},
      {{"conv.weight", 3, true, some}, {"fc.weight", 0, false, {2, 3, 5, 7, 11, 13}}}};
  for (const Optimizer& optimizer : optimizers)
    for (const auto& slices : schemes) {
      CAPTURE(optimizer.text());
      CAPTURE(&slices - schemes.data());
      const Training training(optimizer, slices);
      Graph split = training.graph;
      REQUIRE(split_gradients(split));
      split.verify();
      CHECK(peak_behind_loss(split) < peak_behind_loss(training.graph));
      CHECK(update_count(split) > training.updates.size());
      const auto whole = training.run(training.graph), strips = training.run(split);
      for (const Update& update : training.updates) {
        std::vector<ValueId> held = update.slots;
        held.push_back(update.parameter);
        for (ValueId v : held) {
          const auto expected = after(training.graph, whole, v);
          CHECK(after(split, strips, v) == expected);
          CHECK(expected != whole[static_cast<size_t>(v)].reals());
        }
      }
    }
}

TEST_CASE("no more strips than a budget takes, and none for a gradient that others read") {
  const Training training({}, {all_of("conv.weight"), all_of("fc.weight")});
  const int64_t whole = peak_behind_loss(training.graph);
  Graph enough = training.graph;
  CHECK_FALSE(split_gradients(enough, whole));
  CHECK(enough.text() == training.graph.text());
  Graph some = training.graph, most = training.graph;
  REQUIRE(split_gradients(some, whole * 3 / 4));
  REQUIRE(split_gradients(most));
  CHECK(peak_behind_loss(some) <= whole * 3 / 4);
  CHECK(update_count(some) < update_count(most));

  Graph seen = training.graph;
  for (const Update& update : training.updates)
    seen.outputs.push_back({seen.value(update.gradient).name, update.gradient});
  CHECK_FALSE(split_gradients(seen));
}

TEST_CASE("rows of a weight are not read after their update, and only updates write them") {
  const Training training({}, {all_of("conv.weight")});
  Graph split = training.graph;
  REQUIRE(split_gradients(split));
  Graph late = split;
  const ValueId w = training.updates[0].parameter;
  late.emit(Op::tanh, NoAttrs{}, {w}, "late");
  CHECK(contains(error_of([&] { late.verify(); }), "reads 'conv.weight' after its update"));
  Graph written = split;
  const Shape rows{8, 3, 3, 32};
  const ValueId slice = written.emit(Op::slice, SliceAttrs{0, 8}, {w}, "rows", &rows);
  std::rotate(written.nodes.begin(), written.nodes.end() - 1, written.nodes.end());
  written.verify();
  written.value(slice).lies_in = w;
  CHECK(contains(error_of([&] { written.verify(); }), "writes into 'conv.weight'"));
}

// --- whole training plans

CompileOptions options_of(const std::string& scheme, OptimizerKind optimizer, bool strips) {
  return options_with(scheme, [&](CompileOptions& o) {
    o.batch = 1;
    o.classes = 10;
    o.tile = true;
    o.optimizer.kind = optimizer;
    o.preprocess = parse_preprocess("unit:128x128");
    o.split_gradients = strips;
  });
}

TEST_CASE("published networks train to the same bits with and without strips of gradients") {
  struct Case {
    const char* model;
    OptimizerKind optimizer;
    BackendChoice backend;
  };
  const std::string published = ATTUNE_SOURCE_DIR "/bench/memory/";
  for (const auto& [name, optimizer, backend] :
       {Case{"mcunet-5fps", OptimizerKind::momentum, BackendChoice::reference},
        Case{"mcunet-5fps", OptimizerKind::adam, BackendChoice::simd},
        Case{"proxyless-w0.3", OptimizerKind::sgd, BackendChoice::simd},
        Case{"mbv2-w0.35", OptimizerKind::momentum, BackendChoice::simd}}) {
    const auto model = shared_model(std::string(name) + "-f32.onnx");
    if (!model) continue;
    CAPTURE(std::string(name));
    const std::string chosen = published + name + ".json";
    const Compiled whole = compile(*model, options_of(chosen, optimizer, false));
    const Compiled split = compile(*model, options_of(chosen, optimizer, true));
    CHECK(update_count(split.contents.programs[0].graph) >
          update_count(whole.contents.programs[0].graph));
    CHECK(split.contents.programs[0].memory.lower_bound <=
          whole.contents.programs[0].memory.lower_bound);
    std::vector<std::vector<std::byte>> states;
    for (const Compiled* compiled : {&whole, &split}) {
      const LoadedPlan plan(compiled->plan);
      SessionOptions options;
      options.backend = backend;
      options.poison = true;
      const auto session = make_session(plan.plan(), options);
      train(*session, 3);
      states.emplace_back(session->state().begin(), session->state().end());
    }
    CHECK(states[0] == states[1]);
  }
}

TEST_CASE("a plan with strips of gradients is read back as the graph that it was written from") {
  const auto model = shared_model("mcunet-5fps-f32.onnx");
  if (!model) return;
  const Compiled compiled = compile(*model, options_of("last:4", OptimizerKind::momentum, true));
  const LoadedPlan loaded(compiled.plan);
  const Graph graph = graph_of_plan(loaded.plan(), ProgramKind::train_step, DType::f32);
  const Graph& written = compiled.contents.programs[0].graph;
  REQUIRE(update_count(graph) == update_count(written));
  std::map<std::string, HostTensor> inputs;
  for (const Port& port : graph.inputs) {
    const Value& value = graph.value(port.value);
    const auto elements = static_cast<size_t>(value.shape.elements());
    inputs[port.name] =
        is_real(value.dtype)
            ? HostTensor::of_reals(value.dtype, value.shape, std::vector<double>(elements, 0.5))
            : HostTensor::of_ints(value.dtype, value.shape, std::vector<int64_t>(elements, 1));
  }
  const auto ours = interpret(graph, inputs), theirs = interpret(written, inputs);
  std::map<std::string, size_t> by_name;
  for (size_t v = 0; v < graph.values.size(); ++v) by_name[graph.values[v].name] = v;
  for (const Node& node : written.nodes) {
    if (op_info(node.op).kind != OpKind::update) continue;
    for (ValueId v : node.outputs)
      CHECK(ours[by_name.at(written.value(v).name)].bytes == theirs[static_cast<size_t>(v)].bytes);
  }
}

}  // namespace
}  // namespace attune::test
