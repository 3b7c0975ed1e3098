// Real TFLite models, against what TFLite's interpreter computes (tflite_golden.py).
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numbers>
#include <numeric>

#include "graph/import/model.h"
#include "graph/ir/interpret.h"
#include "graph/passes/passes.h"

namespace attune {
namespace {

namespace fs = std::filesystem;
const fs::path kModels = fs::path(ATTUNE_SOURCE_DIR) / "../shared/models";

struct Golden {
  const char* file;
  double low, high;  // of the input
  size_t count;
  std::vector<std::vector<double>> first;  // of each input's output
  std::vector<double> sums;
};
const std::vector<Golden> kGolden = {
#include "tests/import/tflite_golden.inc"
};

double given(int64_t i, int64_t number, const Golden& golden) {
  const double wave = std::sin((0.02 + 0.013 * static_cast<double>(number)) *
                               static_cast<double>(i + number * 100003));
  const double noise =
      static_cast<double>(((i + number * 100003) * 7919 + 1009) % 10007) / 5003.5 - 1;
  return golden.low + (golden.high - golden.low) * (0.5 + 0.35 * wave + 0.1 * noise);
}

// A batch of all inputs.
std::vector<double> run(const Model& model, const Golden& golden) {
  ImportOptions options;
  options.real = DType::f64;
  options.batch = static_cast<int>(golden.first.size());
  Graph graph = model.import(options);
  graph.verify();
  to_channels_last(graph);
  graph.verify();
  fold_constants(graph);
  graph.verify();
  const Port& port = graph.inputs.at(0);
  const Shape shape = graph.shape(port.value);
  const int64_t each = shape.elements() / shape[0];
  std::vector<double> x;
  for (int64_t i = 0; i < shape.elements(); ++i) x.push_back(given(i % each, i / each, golden));
  const auto values = interpret(graph, {{port.name, HostTensor::of_reals(DType::f64, shape, x)}});
  return values[static_cast<size_t>(graph.outputs.at(0).value)].reals();
}

const std::vector<double> kAnomalies = {
#include "tests/import/tflite_anomalies.inc"
};

size_t largest(const double* first, size_t count) {
  return static_cast<size_t>(std::max_element(first, first + count) - first);
}

}  // namespace

TEST_CASE("real TFLite models compute what its interpreter computes") {
  if (!fs::exists(kModels / "mlperf_tiny")) {
    MESSAGE("skipped: there is no " << kModels.string());
    return;
  }
  for (const Golden& golden : kGolden) {
    const std::string file = golden.file;
    CAPTURE(file);
    const ModelPtr model = load_model((kModels / file).string());
    const std::vector<double> y = run(*model, golden);
    REQUIRE(y.size() == golden.count * golden.first.size());
    const bool floats = file.find("int8") == std::string::npos &&
                        file.find("quant") == std::string::npos &&
                        file.find("kws") == std::string::npos;
    for (size_t k = 0; k < golden.first.size(); ++k) {
      const double* own = y.data() + k * golden.count;
      const std::vector<double>& want = golden.first[k];
      const double sum = std::accumulate(own, own + golden.count, 0.0);
      if (floats) {
        for (size_t i = 0; i < want.size(); ++i) CHECK(std::fabs(own[i] - want[i]) < 1e-4);
        CHECK(std::fabs(sum - golden.sums[k]) < 1e-4 * static_cast<double>(golden.count));
      } else if (golden.count <= want.size()) {
        CHECK(largest(own, golden.count) == largest(want.data(), want.size()));
      }
    }
  }
}

TEST_CASE("an int8 auto-encoder's error is the interpreter's, within 2 %") {
  const fs::path folder = kModels / "mlperf_tiny";
  std::ifstream file(folder / "ad01_normal_id_01_00000000_hist_librosa.bin", std::ios::binary);
  if (!file) {
    MESSAGE("skipped: there is no " << folder.string());
    return;
  }
  constexpr size_t kBands = 128, kFrames = 5, kApart = 14;
  std::vector<float> sound(200 * kBands);
  REQUIRE(file.read(reinterpret_cast<char*>(sound.data()),
                    static_cast<std::streamsize>(4 * sound.size())));
  std::vector<double> x;
  for (size_t k = 0; k < kAnomalies.size(); ++k)
    x.insert(x.end(), sound.begin() + static_cast<long>(k * kApart * kBands),
             sound.begin() + static_cast<long>((k * kApart + kFrames) * kBands));
  ImportOptions options;
  options.real = DType::f64;
  options.batch = static_cast<int>(kAnomalies.size());
  const Graph graph = load_model((folder / "ad01_int8.tflite").string())->import(options);
  const Port& port = graph.inputs.at(0);
  const auto values =
      interpret(graph, {{port.name, HostTensor::of_reals(DType::f64, graph.shape(port.value), x)}});
  const std::vector<double> y = values[static_cast<size_t>(graph.outputs.at(0).value)].reals();
  REQUIRE(y.size() == x.size());
  double sum = 0, wanted = 0;
  for (size_t k = 0; k < kAnomalies.size(); ++k) {
    double error = 0;
    for (size_t i = k * kBands * kFrames; i < (k + 1) * kBands * kFrames; ++i)
      error += (x[i] - y[i]) * (x[i] - y[i]) / (kBands * kFrames);
    sum += error;
    wanted += kAnomalies[k];
  }
  CHECK(sum == doctest::Approx(wanted).epsilon(0.02));
}

}  // namespace attune
