#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "attune/dataset.h"
#include "sparse_update/pipeline/compile.h"
#include "tests/support/files.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {

// x[N,3,8,8] -> stem 3x3 (8) -> blocks of expand 1x1 (16) -> depthwise 3x3 -> project 1x1 (8) ->
// average -> classifier (4), with relu between: with one block, five layers, each with a bias.
OnnxModel small_net(int blocks = 1);

// Batches of 4, sgd with momentum.
CompileOptions options_for(const std::string& scheme);

// Lines of a file, of a cache of results for one.
size_t count_file_lines(const std::string& path);

// Images in which one of four patterns is stronger than noise; the class is the pattern's.
class Patterns : public Dataset {
 public:
  Patterns(int64_t size, uint64_t seed);
  int64_t size() const override { return static_cast<int64_t>(labels_.size()); }
  bool labelled() const override { return true; }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override;
  std::string_view describe(int64_t) override { return "patterns"; }

 private:
  std::vector<float> pixels_;
  std::vector<int32_t> labels_;
};

}  // namespace attune::test
