// How near packed arenas come to what no packing goes below, over the networks of the tests.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>

#include "graph/memory/memory_plan.h"
#include "sparse_update/cost/representative.h"
#include "sparse_update/pipeline/compile.h"
#include "sparse_update/pipeline/preprocess_spec.h"
#include "tests/support/storages.h"

namespace attune::test {
namespace {

struct Network {
  std::string name;
  ModelPtr model;
  std::string sparse, biases;  // schemes
};

std::vector<Network> networks() {
  std::vector<Network> list;
  const MobileNetwork small{64, {8, 16, 24}, 3, 3, 2, false, false};
  MobileNetwork norms = small;
  norms.norms = norms.hard_swish = true;
  list.push_back({"mobile", mobile_network(small), "last:5", "bias:3"});
  list.push_back({"norms", mobile_network(norms), "last:5", "bias:3"});
  list.push_back({"residual", residual_network(32, {8, 16}), "last:4", "bias:3"});
  list.push_back({"keyword", keyword_network(16), "last:4", "bias:3"});
  list.push_back({"dense", dense_network({12, 20, 8}), "last:1", "bias:1"});
  list.push_back({"shipped", load_model(ATTUNE_SOURCE_DIR "/examples/keyword_spotting/kws.onnx"),
                  "last:3", "bias:3"});
  for (const char* name : {"ds_cnn_kws", "mbv2-w0.35", "mcunet-5fps", "proxyless-w0.3"}) {
    const std::string path =
        std::string(ATTUNE_SOURCE_DIR "/../shared/models/") + name + "-f32.onnx";
    const std::string scheme = std::string(ATTUNE_SOURCE_DIR "/bench/memory/") + name + ".json";
    if (!std::filesystem::exists(path))
      MESSAGE("skipped: there is no ", path);
    else
      list.push_back({name, load_model(path),
                      std::filesystem::exists(scheme) ? scheme : std::string("last:4"), "bias:9"});
  }
  return list;
}

struct Way {
  const char* name;
  int batch, micro_batch;
  bool tile, strips;
  bool stream = false;  // the first layers of a batch, as `attune compile` has it
};

CompileOptions options_of(const std::string& scheme, const Way& way) {
  CompileOptions options;
  options.scheme = scheme;
  options.batch = way.batch;
  options.micro_batch = way.micro_batch;
  options.tile = way.tile;
  options.split_gradients = way.strips;
  options.stream = way.stream;
  return options;
}

Compiled compiled(const Network& network, const std::string& scheme, const Way& way) {
  return compile(*network.model, options_of(scheme, way));
}

// The largest program sets the arena of a plan.
const PlanProgram& largest(const Compiled& plan) {
  const auto& programs = plan.contents.programs;
  return *std::max_element(programs.begin(), programs.end(), [](const auto& a, const auto& b) {
    return a.memory.arena_bytes < b.memory.arena_bytes;
  });
}

bool is_near_its_bound(const MemoryPlan& plan) {
  return 100 * plan.arena_bytes <= 101 * plan.lower_bound;
}

// In percent of the bound.
bool is_within(const MemoryPlan& plan, double percent) {
  return 100 * static_cast<double>(plan.arena_bytes) <=
         (100 + percent) * static_cast<double>(plan.lower_bound);
}

// That places are aligned, within the arena, and nobody else's.
void check_places(const MemoryPlan& plan) {
  const auto& storages = plan.storage.storages;
  for (size_t a = 0; a < storages.size(); ++a) {
    if (!storages[a].in_arena) continue;
    REQUIRE(plan.offsets[a] >= 0);
    REQUIRE(plan.offsets[a] % storages[a].alignment == 0);
    REQUIRE(plan.offsets[a] + storages[a].bytes <= plan.arena_bytes);
    for (size_t b = a + 1; b < storages.size(); ++b)
      if (storages[b].in_arena)
        REQUIRE_FALSE(overlap(storages[a], plan.offsets[a], storages[b], plan.offsets[b]));
  }
}

constexpr Way kWhole[] = {{"batch 1", 1, 0, false, false},
                          {"batch 8", 8, 0, false, false},
                          {"batch 8, strips of gradients", 8, 0, false, true}};

TEST_CASE("arenas of whole layers are within one percent of what no packing goes below") {
  for (const Network& network : networks())
    for (const std::string& scheme : {std::string("full"), network.sparse, network.biases})
      for (const Way& way : kWhole) {
        CAPTURE(network.name);
        CAPTURE(scheme);
        CAPTURE(std::string(way.name));
        const Compiled plan = compiled(network, scheme, way);
        CHECK(is_near_its_bound(largest(plan).memory));
        for (const PlanProgram& program : plan.contents.programs) {
          CAPTURE(std::string(program_name(program.kind)));
          REQUIRE(program.memory.lower_bound > 0);
          CHECK(program.memory.arena_bytes >= program.memory.lower_bound);
          check_places(program.memory);
        }
      }
}

// Tiled networks have buffers with notches.
constexpr Way kShared[] = {{"tiled", 1, 0, true, false},
                           {"tiled, strips of gradients", 1, 0, true, true},
                           {"micro-batches of 2", 8, 2, false, false}};

// Some have a bound that no packing reaches, as buffers of rows live several times: an exhaustive
// search once showed 14.4 percent to be the least of a tiled network here, and that one percent
// less did not suffice for 11 of 90.
TEST_CASE("tiled arenas and those of micro-batches are near what no packing goes below") {
  int near = 0, all = 0;
  for (const Network& network : networks())
    for (const std::string& scheme : {std::string("full"), network.sparse, network.biases})
      for (const Way& way : kShared) {
        CAPTURE(network.name);
        CAPTURE(scheme);
        CAPTURE(std::string(way.name));
        const MemoryPlan memory = largest(compiled(network, scheme, way)).memory;
        CAPTURE(memory.arena_bytes);
        CAPTURE(memory.lower_bound);
        REQUIRE(memory.lower_bound > 0);
        CHECK(memory.arena_bytes >= memory.lower_bound);
        CHECK(is_within(memory, 14.5));
        ++all;
        if (is_near_its_bound(memory)) ++near;
      }
  CHECK(near * 100 >= all * 80);
}

constexpr Way kStreamed[] = {{"batch 8, streamed", 8, 0, false, false, true},
                             {"batch 8, streamed, strips of gradients", 8, 0, false, true, true},
                             {"micro-batches of 2, streamed", 8, 2, false, false, true}};

TEST_CASE("arenas of streamed batches are near what no packing goes below") {
  for (const Network& network : networks())
    for (const std::string& scheme : {std::string("full"), network.sparse, network.biases})
      for (const Way& way : kStreamed) {
        CAPTURE(network.name);
        CAPTURE(scheme);
        CAPTURE(std::string(way.name));
        const Compiled plan = compiled(network, scheme, way);
        const MemoryPlan& memory = largest(plan).memory;
        CAPTURE(memory.arena_bytes);
        CAPTURE(memory.lower_bound);
        REQUIRE(memory.lower_bound > 0);
        CHECK(memory.arena_bytes >= memory.lower_bound);
        CHECK(is_within(memory, 5.5));
        check_places(memory);
      }
}

TEST_CASE(
    "a budget that is missed gets a longer search, and at most five percent above the bound") {
  for (const Network& network : networks())
    for (const std::string& scheme : {std::string("full"), network.sparse, network.biases}) {
      CAPTURE(network.name);
      CAPTURE(scheme);
      const PlanProgram program =
          largest(compiled(network, scheme, {"micro-batches of 1, tiled", 8, 1, true, false}));
      const MemoryPlan& memory = program.memory;
      REQUIRE(memory.lower_bound > 0);
      CHECK(memory.arena_bytes >= memory.lower_bound);
      check_places(memory);
      const MemoryPlan less = plan_memory(program.graph, PackEffort::thorough, memory.lower_bound);
      CHECK(less.arena_bytes <= memory.arena_bytes);
      CHECK(is_within(less, 5));
      check_places(less);
    }
}

}  // namespace
}  // namespace attune::test
