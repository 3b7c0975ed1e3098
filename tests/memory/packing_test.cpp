// How near packed arenas come to the most bytes alive at once, over the networks of the tests.
#include <doctest/doctest.h>

#include <filesystem>

#include "sparse_update/compile.h"
#include "sparse_update/cost/representative.h"

namespace attune::test {
namespace {

struct Network {
  std::string name;
  OnnxModel model;
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
  list.push_back({"shipped",
                  OnnxModel::load(ATTUNE_SOURCE_DIR "/examples/keyword_spotting/kws.onnx"),
                  "last:3", "bias:3"});
  for (const char* name : {"ds_cnn_kws", "mbv2-w0.35", "mcunet-5fps", "proxyless-w0.3"}) {
    const std::string path =
        std::string(ATTUNE_SOURCE_DIR "/../shared/models/") + name + "-f32.onnx";
    const std::string scheme = std::string(ATTUNE_SOURCE_DIR "/bench/memory/") + name + ".json";
    if (!std::filesystem::exists(path))
      MESSAGE("skipped: there is no ", path);
    else
      list.push_back({name, OnnxModel::load(path),
                      std::filesystem::exists(scheme) ? scheme : std::string("last:4"), "bias:9"});
  }
  return list;
}

struct Way {
  const char* name;
  int batch;
  bool strips;
};

constexpr Way kWays[] = {
    {"batch 1", 1, false}, {"batch 8", 8, false}, {"batch 8, strips of gradients", 8, true}};

TEST_CASE("arenas of whole layers are within one percent of the most bytes alive at once") {
  for (const Network& network : networks())
    for (const std::string& scheme : {std::string("full"), network.sparse, network.biases})
      for (const Way& way : kWays) {
        CAPTURE(network.name);
        CAPTURE(scheme);
        CAPTURE(std::string(way.name));
        CompileOptions options;
        options.scheme = scheme;
        options.batch = way.batch;
        options.split_gradients = way.strips;
        const Compiled compiled = compile(network.model, options);
        for (const PlanProgram& program : compiled.contents.programs) {
          CAPTURE(program_name(program.kind));
          REQUIRE(program.memory.lower_bound > 0);
          CHECK(program.memory.arena_bytes >= program.memory.lower_bound);
          CHECK(static_cast<double>(program.memory.arena_bytes) <=
                1.01 * static_cast<double>(program.memory.lower_bound));
        }
      }
}

}  // namespace
}  // namespace attune::test
