// What the report reads from a plan's bytes, against what the compiler knows.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>

#include "cli/report/sections.h"
#include "engine/format/plan_tensor.h"
#include "sparse_update/cost/representative.h"
#include "sparse_update/layers.h"
#include "tests/support/compiled_plan.h"
#include "tests/support/files.h"

namespace attune::test {
namespace {

using cli::ArenaTrace;
using cli::Phase;
using cli::PlanLayer;
using cli::ProgramView;

struct Case {
  std::string name;
  ModelPtr model;
  CompileOptions options;
  std::unique_ptr<CompiledPlan> compiled;
};

CompileOptions options_of(const std::string& scheme, int batch, bool tile = false) {
  CompileOptions options;
  options.scheme = scheme;
  options.batch = batch;
  options.tile = tile;
  return options;
}

std::vector<Case> make_cases() {
  const MobileNetwork small{64, {8, 16, 24}, 3, 3, 2, false, false};
  MobileNetwork norms = small;
  norms.norms = norms.hard_swish = true;
  const std::string sliced =
      R"({"bias_last": 6, "layers": [{"layer": 7, "input_channels": 0.5}, {"layer": 9}]})";
  std::vector<Case> list;
  list.push_back({"mobile, full", mobile_network(small), options_of("full", 2), {}});
  list.push_back({"mobile, sliced", mobile_network(small), options_of(sliced, 1), {}});
  list.push_back({"mobile, sliced, tiled", mobile_network(small), options_of(sliced, 1, true), {}});
  list.push_back({"norms, last:5", mobile_network(norms), options_of("last:5", 2), {}});
  list.push_back(
      {"norms, bias:5, tiled", mobile_network(norms), options_of("bias:5", 1, true), {}});
  list.push_back({"norms, full", mobile_network(norms), options_of("full", 2), {}});
  list.push_back({"residual, full", residual_network(32, {8, 16}), options_of("full", 2), {}});
  list.push_back({"residual, last:4", residual_network(32, {8, 16}), options_of("last:4", 1), {}});
  list.push_back({"residual, full, in micro-batches",
                  residual_network(32, {8, 16}),
                  options_of("full", 6),
                  {}});
  list.back().options.micro_batch = 2;
  list.push_back({"keywords, bias:4", keyword_network(16), options_of("bias:4", 2), {}});
  list.push_back({"dense, head", dense_network({12, 20, 8}), options_of("head", 3), {}});
  Case again{"mobile, full, within less", mobile_network(small), options_of("full", 2), {}};
  again.options.arena_budget =
      compile(*again.model, again.options).contents.programs[0].memory.arena_bytes * 9 / 10;
  list.push_back(std::move(again));
  for (const char* name : {"mcunet-5fps", "proxyless-w0.3"}) {
    const std::string path =
        std::string(ATTUNE_SOURCE_DIR "/../shared/models/") + name + "-f32.onnx";
    if (!std::filesystem::exists(path)) {
      MESSAGE("skipped: there is no " << path);
      continue;
    }
    const std::string scheme = std::string(ATTUNE_SOURCE_DIR "/bench/memory/") + name + ".json";
    list.push_back({name, load_model(path), options_of(scheme, 1, true), {}});
  }
  return list;
}

const std::vector<Case>& cases() {
  static const std::vector<Case> list = [] {
    std::vector<Case> made = make_cases();
    for (Case& c : made) c.compiled = std::make_unique<CompiledPlan>(*c.model, c.options);
    return made;
  }();
  return list;
}

// Ranges of bytes that the planner counts at a step: what it rounds up are these.
int64_t ranges_at(const StorageMap& storage, int step) {
  int64_t count = 0;
  for (const Storage& s : storage.storages)
    for (const StorageRange& range : s.ranges)
      for (const Life& life : range.lives) count += life.first <= step && step <= life.last;
  return count;
}

}  // namespace

TEST_CASE("bytes alive at each step are those that the planner counts, up to its alignment") {
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    const CompiledPlan& compiled = *c.compiled;
    for (const PlanProgram& planned : compiled.contents().programs) {
      CAPTURE(program_name(planned.kind));
      const format::Program& program = *compiled.plan().program(planned.kind);
      const ArenaTrace trace = cli::trace_arena(program);
      const int nodes = static_cast<int>(planned.graph.nodes.size());
      const std::vector<int64_t> live = planned.memory.storage.live_bytes(nodes);
      size_t step = 0;
      int wrong = 0;
      for (int n = 0; n < nodes; ++n) {
        if (is_view(planned.graph, planned.graph.nodes[static_cast<size_t>(n)])) continue;
        const auto found = static_cast<int64_t>(trace.live[++step]);
        const int64_t counted = live[static_cast<size_t>(n + 1)];
        wrong += found > counted || counted - found >= 64 * ranges_at(planned.memory.storage, n);
      }
      CHECK(step + 2 == trace.live.size());
      CHECK(wrong == 0);
      CHECK(*std::max_element(trace.live.begin(), trace.live.end()) <= program.arena_lower_bound());
    }
  }
}

TEST_CASE("no two contents of the arena hold a byte at the same step") {
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    const CompiledPlan& compiled = *c.compiled;
    const format::Program& program = *compiled.plan().program(ProgramKind::train_step);
    const ArenaTrace trace = cli::trace_arena(program);
    std::vector<cli::HeldBytes> all;
    for (const cli::ArenaContent& content : trace.contents)
      for (const cli::HeldBytes& held : content.held) {
        CHECK(held.end <= program.arena_bytes());
        CHECK(held.first == content.step);
        CHECK(held.first <= held.last);
        all.push_back(held);
      }
    int shared = 0;
    for (size_t i = 0; i < all.size(); ++i)
      for (size_t j = i + 1; j < all.size(); ++j)
        shared += all[i].begin < all[j].end && all[j].begin < all[i].end &&
                  all[i].first <= all[j].last && all[j].first <= all[i].last;
    CHECK(shared == 0);
  }
}

TEST_CASE("layers of a plan are those of the model, in the order that schemes number") {
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    const CompiledPlan& compiled = *c.compiled;
    const Graph graph = forward_graph(*c.model, c.options, 1);
    const ProgramView view(compiled.plan().table(),
                           *compiled.plan().program(ProgramKind::train_step));
    std::vector<std::string> expected, found;
    for (const Layer& layer : find_layers(graph)) expected.push_back(layer.name);
    for (const PlanLayer& layer : view.layers.layers) found.push_back(layer.name);
    CHECK(found == expected);
  }
}

TEST_CASE("what layers train is what the scheme says, and all of it") {
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    const CompiledPlan& compiled = *c.compiled;
    const ProgramView view(compiled.plan().table(),
                           *compiled.plan().program(ProgramKind::train_step));
    const Graph graph = forward_graph(*c.model, c.options, 1);
    const std::vector<Layer> layers = find_layers(graph);
    REQUIRE(layers.size() == view.layers.layers.size());
    uint64_t trained = 0, expected = 0;
    for (const format::Parameter* p : compiled.parameters()) expected += cli::elements_trained(*p);
    for (size_t i = 0; i < layers.size(); ++i) {
      const PlanLayer& found = view.layers.layers[i];
      CAPTURE(found.name);
      trained += found.trained_weight + found.trained_other;
      const Value& weight = graph.value(layers[i].weight);
      CHECK(found.weight_elements == static_cast<uint64_t>(weight.shape.elements()));
      const format::Parameter* p = compiled.parameter(weight.origin.tensor);
      CHECK(found.trained_weight == (p ? cli::elements_trained(*p) : 0));
      CHECK(found.trained_weight <= found.weight_elements);
      CHECK(found.trained_other <= found.other_elements);
      bool other = false;
      for (ValueId id : layers[i].parameters())
        other = other || (id != layers[i].weight &&
                          compiled.parameter(graph.value(id).origin.tensor) != nullptr);
      CHECK((found.trained_other > 0) == other);
      CHECK(found.slice.empty() ==
            (found.trained_weight == 0 || found.trained_weight == found.weight_elements));
    }
    CHECK(trained == expected);
  }
}

TEST_CASE("every step belongs to a layer, and its multiply-adds to the layer that causes them") {
  for (const Case& c : cases()) {
    CAPTURE(c.name);
    const CompiledPlan& compiled = *c.compiled;
    const format::Program& program = *compiled.plan().program(ProgramKind::train_step);
    const ProgramView view(compiled.plan().table(), program);
    const auto layers = static_cast<int>(view.layers.layers.size());
    for (size_t s = 0; s < view.phases.size(); ++s) {
      const format::Step& step = *program.steps()->Get(static_cast<unsigned>(s));
      const std::string name = text_of(step.name());
      CAPTURE(name);
      const int layer = view.layers.of_step[s];
      CHECK(layer >= cli::PlanLayers::kLoss);
      CHECK(layer < layers);
      if (step.macs() == 0) continue;
      REQUIRE(layer >= 0);
      // What has multiply-adds is called after its layer.
      const std::string& owner = view.layers.layers[static_cast<size_t>(layer)].name;
      CHECK(name.starts_with(owner));
      if (view.phases[s] == Phase::backward) CHECK(contains(name, "/grad"));
      if (name.size() > owner.size()) CHECK(name[owner.size()] == '/');
    }
    // A layer that is frozen has no update, one that is trained has.
    std::set<int> updated;
    for (size_t s = 0; s < view.phases.size(); ++s)
      if (view.phases[s] == Phase::update) updated.insert(view.layers.of_step[s]);
    for (int l = 0; l < layers; ++l)
      CHECK(updated.contains(l) == !view.layers.layers[static_cast<size_t>(l)].frozen());
  }
}

TEST_CASE("scaling a byte image is part of the forward pass") {
  MobileNetwork network{32, {8, 16}, 2, 3, 1, false, false};
  CompileOptions options = options_of("head", 1);
  options.preprocess.front_end = FrontEnd::image;
  options.preprocess.image.width = options.preprocess.image.height = 32;
  options.preprocess.image.channels = 3;
  const CompiledPlan compiled(*mobile_network(network), options);
  const format::Program& program = *compiled.plan().program(ProgramKind::evaluate);
  for (Phase phase : cli::step_phases(program)) CHECK(phase == Phase::forward);
}

}  // namespace attune::test
