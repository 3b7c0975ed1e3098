// The published model of a scheme's memory, against the published figures.
#include "tests/cost/extra_memory.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>

#include "sparse_update/pipeline/compile.h"

namespace attune {
namespace {

namespace fs = std::filesystem;
const fs::path kModels = fs::path(ATTUNE_SOURCE_DIR) / "../shared/models";
const fs::path kSchemes = fs::path(ATTUNE_SOURCE_DIR) / "examples/schemes";

Graph forward_of(const std::string& model) {
  CompileOptions options;
  options.classes = 10;
  return forward_graph(*load_model((kModels / (model + "-f32.onnx")).string()), options, 1);
}

bool have_models() {
  if (fs::exists(kModels / "mcunet-5fps-f32.onnx")) return true;
  MESSAGE("skipped: there is no " << kModels.string());
  return false;
}

ExtraMemory extra(const Graph& graph, const std::string& scheme) {
  return extra_memory(graph, parse_scheme(scheme, graph));
}

TEST_CASE("the shipped schemes take exactly the extra memory that was published for them") {
  if (!have_models()) return;
  const std::pair<const char*, std::vector<int>> kPublished[] = {
      {"mcunet-5fps", {49, 74, 99, 124, 148}},
      {"mbv2-w0.35", {49, 73, 99, 123, 138}},
      {"proxyless-w0.3", {49, 74, 98, 120, 148}}};
  size_t files = 0;
  for (const auto& [model, sizes] : kPublished) {
    const Graph graph = forward_of(model);
    for (const int kib : sizes) {
      const fs::path file = kSchemes / fmt::format("{}-{}kb.json", model, kib);
      CAPTURE(file.string());
      CHECK(extra(graph, file.string()).kib() == kib);
      ++files;
    }
  }
  // No scheme with a size in its name lies beside them unchecked.
  size_t there = 0;
  for (const auto& entry : fs::directory_iterator(kSchemes))
    there += entry.path().filename().string().ends_with("kb.json") ? 1 : 0;
  CHECK(there == files);
}

TEST_CASE("extra memory of MCUNet to a tenth of a KiB, for the last layers and for all") {
  if (!have_models()) return;
  const Graph graph = forward_of("mcunet-5fps");
  const std::pair<const char*, double> kKib[] = {
      {"49kb", 49.8}, {"74kb", 74.8}, {"99kb", 99.8}, {"124kb", 125.0}, {"148kb", 148.4}};
  for (const auto& [name, kib] : kKib) {
    const ExtraMemory memory =
        extra(graph, (kSchemes / fmt::format("mcunet-5fps-{}.json", name)).string());
    CHECK(static_cast<double>(memory.bits()) / 8192 == doctest::Approx(kib).epsilon(0.001));
  }
  CHECK(extra(graph, "last:12").kib() == 448);
  CHECK(extra(graph, "full").kib() == 1400);
}

}  // namespace
}  // namespace attune
