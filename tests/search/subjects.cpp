#include "tests/search/subjects.h"

#include <cmath>
#include <cstring>
#include <fstream>

#include "engine/random.h"

namespace attune::test {
namespace {

constexpr int kPixels = 3 * 8 * 8, kClasses = 4;

double uniform(Random& random) {
  return static_cast<double>(random.next() >> 11) * 0x1p-52 - 1;  // -1 .. 1
}

}  // namespace

OnnxModel small_net(int blocks) {
  OnnxBuilder net;
  Random random(7, 0);
  const auto tensor = [&](const std::string& name, const std::vector<int64_t>& dims, double scale) {
    net.tensor(name, dims, 0, 0);
    auto* made = net.proto().mutable_graph()->mutable_initializer(
        net.proto().graph().initializer_size() - 1);
    for (float& x : *made->mutable_float_data()) x = static_cast<float>(scale * uniform(random));
  };
  const auto conv = [&](const std::string& name, const std::string& x, int64_t in, int64_t out,
                        int64_t kernel, int64_t groups) {
    tensor(name + ".weight", {out, in / groups, kernel, kernel},
           std::sqrt(6.0 / static_cast<double>(in / groups * kernel * kernel)));
    tensor(name + ".bias", {out}, 0.1);
    onnx::NodeProto& node =
        net.node("Conv", {x, name + ".weight", name + ".bias"}, {name + ".out"});
    const int64_t pad = kernel / 2;
    set_ints(node, "kernel_shape", {kernel, kernel});
    set_ints(node, "pads", {pad, pad, pad, pad});
    set_int(node, "group", groups);
    net.node("Relu", {name + ".out"}, {name});
  };
  net.input("x", {-1, 3, 8, 8}).output("scores");
  conv("stem", "x", 3, 8, 3, 1);
  std::string last = "stem";
  for (int b = 0; b < blocks; ++b) {
    const std::string block = b == 0 ? "" : std::to_string(b) + ".";
    conv(block + "expand", last, 8, 16, 1, 1);
    conv(block + "depthwise", block + "expand", 16, 16, 3, 16);
    conv(last = block + "project", block + "depthwise", 16, 8, 1, 1);
  }
  net.node("GlobalAveragePool", {last}, {"pooled"});
  net.node("Flatten", {"pooled"}, {"features"});
  tensor("classifier.weight", {kClasses, 8}, 0.3);
  tensor("classifier.bias", {kClasses}, 0.1);
  set_int(net.node("Gemm", {"features", "classifier.weight", "classifier.bias"}, {"scores"}),
          "transB", 1);
  return net.model();
}

CompileOptions options_for(const std::string& scheme) {
  CompileOptions options;
  options.scheme = scheme;
  options.batch = 4;
  return options;
}

Patterns::Patterns(int64_t size, uint64_t seed) {
  Random random(seed, 1);
  for (int64_t i = 0; i < size; ++i) {
    const auto label = static_cast<int32_t>(random.below(kClasses));
    labels_.push_back(label);
    for (int p = 0; p < kPixels; ++p) {
      const int row = p / 8 % 8, column = p % 8;
      const int phase = label % 2 == 0 ? row : column;
      const double wave = (phase / (label < 2 ? 1 : 2)) % 2 == 0 ? 1 : -1;
      pixels_.push_back(static_cast<float>(0.5 * wave + 0.5 * uniform(random)));
    }
  }
}

Status Patterns::read(int64_t index, int field, std::span<std::byte> bytes) {
  const auto at = static_cast<size_t>(index);
  if (field == kTargetField)
    std::memcpy(bytes.data(), &labels_[at], sizeof(int32_t));
  else
    std::memcpy(bytes.data(), pixels_.data() + at * kPixels, bytes.size());
  return Status::ok();
}

size_t count_file_lines(const std::string& path) {
  std::ifstream file(path);
  size_t lines = 0;
  for (std::string line; std::getline(file, line);) ++lines;
  return lines;
}

}  // namespace attune::test
