// Damaged and malicious TFLite files: an Error, or a model, but never anything else.
#include <doctest/doctest.h>

#include <cstring>
#include <random>

#include "graph/import/model.h"
#include "graph/ir/error.h"
#include "graph/passes/passes.h"
#include "tests/support/onnx_builder.h"
#include "tests/support/tflite_builder.h"

namespace attune {
namespace {

using tflite::BuiltinOperator;
using tflite::BuiltinOptions;

// A bit of everything: an image, shape arithmetic, int8 weights, rows, a signature.
std::string small_model() {
  TfliteBuilder b;
  auto& f = b.builder();
  const auto with = [&](BuiltinOptions kind, auto made) {
    return TfliteBuilder::Options{kind, made.Union()};
  };
  int x = b.input({1, 6, 6, 2}, "serving_default_x:0");
  x = b.op(
      BuiltinOperator::CONV_2D, {x, b.weights({3, 3, 3, 2}, "conv"), b.weights({3}, "bias")},
      with(BuiltinOptions::Conv2DOptions,
           tflite::CreateConv2DOptions(f, tflite::Padding::SAME, 2, 2, tflite::Activation::RELU6)));
  const int shape = b.op(BuiltinOperator::SHAPE, {x}, {}, 1, tflite::TensorType::INT32);
  const int lead = b.op(BuiltinOperator::STRIDED_SLICE,
                        {shape, b.ints({1}, {0}), b.ints({1}, {1}), b.ints({1}, {1})},
                        with(BuiltinOptions::StridedSliceOptions,
                             tflite::CreateStridedSliceOptions(f, 0, 0, 0, 0, 1)),
                        1, tflite::TensorType::INT32);
  const int to = b.op(BuiltinOperator::PACK, {lead, b.ints({}, {9}), b.ints({}, {-1})},
                      with(BuiltinOptions::PackOptions, tflite::CreatePackOptions(f, 3, 0)), 1,
                      tflite::TensorType::INT32);
  x = b.op(BuiltinOperator::RESHAPE, {x, to});
  x = b.op(BuiltinOperator::MEAN, {x, b.ints({1}, {1})},
           with(BuiltinOptions::ReducerOptions, tflite::CreateReducerOptions(f, false)));
  const int w = b.int8({4, 3}, "dense", {1, 2, 3, -4, 5, 6, 7, -8, 9, 10, 11, 12},
                       {0.1f, 0.2f, 0.3f, 0.4f}, {0, 0, 0, 0});
  x = b.op(BuiltinOperator::FULLY_CONNECTED, {x, w, b.weights({4}, "dense_bias")},
           with(BuiltinOptions::FullyConnectedOptions, tflite::CreateFullyConnectedOptions(f)));
  b.output(b.op(BuiltinOperator::SOFTMAX, {x},
                with(BuiltinOptions::SoftmaxOptions, tflite::CreateSoftmaxOptions(f, 1))));
  b.signature({"x"}, {"probabilities"});
  b.labels("labels.txt");
  return b.bytes();
}

// Returns whether the bytes are a model.
bool survives(const std::string& bytes) {
  try {
    const ModelPtr model = parse_model(bytes, "hostile.tflite");
    model->label_file();
    ImportOptions options;
    options.batch = 2;
    Graph graph = model->import(options);
    graph.verify();
    to_channels_last(graph);
    graph.verify();
    model->in_own_format({{"conv", {3, 2, 3, 3}, std::vector<double>(54, 1)}}, {});
    return true;
  } catch (const Error& error) {
    CHECK(!contains(error.what(), "bug of Attune"));
    return false;
  }
}

}  // namespace

TEST_CASE("every truncation of a TFLite file is an error or a model") {
  const std::string bytes = small_model();
  REQUIRE(survives(bytes));
  for (size_t n = 0; n < bytes.size(); ++n) survives(bytes.substr(0, n));
  CHECK(!survives(bytes.substr(0, bytes.size() / 2)));
}

TEST_CASE("changed bytes of a TFLite file are an error or a model") {
  const std::string bytes = small_model();
  std::mt19937 random(1);
  int models = 0;
  constexpr int kRuns = 20000;
  const int32_t extremes[] = {0, -1, 1, 2, 127, 1 << 20, INT32_MAX, INT32_MIN};
  for (int i = 0; i < kRuns; ++i) {
    std::string changed = bytes;
    for (unsigned n = 1 + random() % 3; n > 0; --n) {
      const size_t at = random() % changed.size();
      switch (random() % 4) {
        case 0:
          changed[at] = static_cast<char>(random());
          break;
        case 1:
          changed[at] = static_cast<char>(changed[at] ^ (1 << random() % 8));
          break;
        case 2:
          changed.erase(at, 1 + random() % 4);
          break;
        case 3:  // numbers of the format are of four bytes, and aligned
          if (at / 4 * 4 + 4 <= changed.size())
            std::memcpy(changed.data() + at / 4 * 4, &extremes[random() % 8], 4);
          break;
      }
    }
    models += survives(changed);
  }
  CHECK(models > 0);  // those changed in a weight alone
  CHECK(models < kRuns);
}

TEST_CASE("a TFLite model's faults are named, all of them at once") {
  TfliteBuilder b;
  const int x = b.input({1, 4});
  b.output(b.op(BuiltinOperator::SVDF, {x}));
  b.custom("MFCC", {x});
  const std::string error = error_of([&] { parse_model(b.bytes(), "m.tflite"); });
  CHECK(contains(error, "m.tflite: 2 operators cannot be imported:"));
  CHECK(contains(error, "(SVDF): the operator is not supported"));
  CHECK(contains(error, "(custom MFCC): the operator is not supported"));
  CHECK(contains(error_of([] { parse_model(std::string("\x1c\0\0\0TFL3garbage", 15), "m"); }),
                 "not a TFLite model, or a damaged one"));
}

}  // namespace attune
