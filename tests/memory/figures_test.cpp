// The figures of docs/memory.md, as upper bounds.
#include <doctest/doctest.h>

#include <filesystem>

#include "sparse_update/pipeline/compile.h"
#include "sparse_update/pipeline/preprocess_spec.h"

namespace attune::test {
namespace {

constexpr const char* kNetworks[] = {"mcunet-5fps", "mbv2-w0.35", "proxyless-w0.3"};

struct Row {
  const char* name;
  bool full, masks, tile, bytes, strips;
  double most_kib[3];  // by network
};

// Bytes that an exhaustive search once found for the last two rows, by network.
constexpr int64_t kLeast[2][3] = {{221588, 168332, 184204}, {168716, 153620, 144908}};

constexpr Row kRows[] = {
    {"full update", true, false, false, false, false, {3480, 3910, 3325}},
    {"masks made again", true, true, false, false, false, {3405, 3810, 3245}},
    {"sparse update", false, false, false, false, false, {640.05, 960.05, 512.05}},
    {"tiled", false, false, true, false, false, {265, 256, 257}},
    {"tiled, input of bytes", false, false, true, true, false, {240, 166, 181}},
    {"gradients in strips", false, false, true, true, true, {165, 165, 152}},
};

TEST_CASE("training steps of published networks fit into the memory that docs/memory.md says") {
  for (int n = 0; n < 3; ++n) {
    const std::string path =
        std::string(ATTUNE_SOURCE_DIR "/../shared/models/") + kNetworks[n] + "-f32.onnx";
    if (!std::filesystem::exists(path)) {
      MESSAGE("skipped: there is no " << path);
      continue;
    }
    const ModelPtr model = load_model(path);
    for (const Row& row : kRows) {
      CAPTURE(std::string(kNetworks[n]));
      CAPTURE(std::string(row.name));
      CompileOptions options;
      options.scheme =
          row.full ? "full"
                   : std::string(ATTUNE_SOURCE_DIR "/bench/memory/") + kNetworks[n] + ".json";
      options.optimizer.kind = OptimizerKind::sgd;
      options.batch = 1;
      options.classes = 10;
      options.remake_masks = row.masks;
      options.tile = row.tile;
      options.split_gradients = row.strips;
      if (row.bytes) options.preprocess = parse_preprocess("unit:128x128");
      const Compiled compiled = compile(*model, options);
      for (const PlanProgram& program : compiled.contents.programs) {
        CAPTURE(program_name(program.kind));
        CHECK(static_cast<double>(program.memory.arena_bytes) / 1024 <= row.most_kib[n]);
      }
    }
  }
}

TEST_CASE("a search over orders comes near the least arenas of tiled networks") {
  for (int n = 0; n < 3; ++n) {
    const std::string path =
        std::string(ATTUNE_SOURCE_DIR "/../shared/models/") + kNetworks[n] + "-f32.onnx";
    if (!std::filesystem::exists(path)) {
      MESSAGE("skipped: there is no " << path);
      continue;
    }
    for (const bool strips : {false, true}) {
      CAPTURE(std::string(kNetworks[n]));
      CAPTURE(strips);
      CompileOptions options;
      options.scheme = std::string(ATTUNE_SOURCE_DIR "/bench/memory/") + kNetworks[n] + ".json";
      options.optimizer.kind = OptimizerKind::sgd;
      options.batch = 1;
      options.classes = 10;
      options.tile = true;
      options.split_gradients = strips;
      options.preprocess = parse_preprocess("unit:128x128");
      const PlanProgram train = compile(*load_model(path), options).contents.programs.front();
      const int64_t least = kLeast[strips ? 1 : 0][n];
      CHECK(static_cast<double>(train.memory.arena_bytes) <= 1.01 * static_cast<double>(least));
      const MemoryPlan budget = plan_memory(train.graph, PackEffort::thorough, least);
      CHECK(static_cast<double>(budget.arena_bytes) <= 1.005 * static_cast<double>(least));
    }
  }
}

}  // namespace
}  // namespace attune::test
