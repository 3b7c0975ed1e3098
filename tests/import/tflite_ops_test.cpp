// Operators of TFLite, each as a small model: against its interpreter (tflite_ops.py), and of
// several examples at once as of each alone. ATTUNE_WRITE_TFLITE=FOLDER writes the models there,
// and as ONNX.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <numeric>

#include "graph/import/model.h"
#include "graph/ir/interpret.h"
#include "graph/passes/passes.h"
#include "tests/support/onnx_builder.h"
#include "tests/support/tflite_builder.h"

namespace attune {
namespace {

using tflite::Activation;
using tflite::BuiltinOperator;
using tflite::BuiltinOptions;
using tflite::MirrorPadMode;
using tflite::Padding;
using B = TfliteBuilder;

// With the options of a type: WITH(Softmax, 0.5f).
#define WITH(name, ...)                                                               \
  B::Options {                                                                        \
    BuiltinOptions::name##Options,                                                    \
        tflite::Create##name##Options(b.builder() __VA_OPT__(, ) __VA_ARGS__).Union() \
  }

struct Case {
  const char* name;
  std::function<void(B& b)> build;
};

// One operator of one input.
Case unary(const char* name, BuiltinOperator code, float scale = 1, float offset = 0) {
  return {name, [=](B& b) {
            int x = b.input({1, 3, 4});
            x = b.op(BuiltinOperator::MUL, {x, b.reals({}, {scale})}, WITH(Mul));
            x = b.op(BuiltinOperator::ADD, {x, b.reals({}, {offset})}, WITH(Add));
            b.output(b.op(code, {x}));
          }};
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"add_of_a_vector_with_relu",
       [](B& b) {
         b.output(b.op(BuiltinOperator::ADD, {b.input({1, 4, 4, 3}), b.weights({3}, "w")},
                       WITH(Add, Activation::RELU)));
       }},
      {"product_of_computed_shapes",
       [](B& b) {
         const int x = b.input({1, 2, 3});
         const int sum = b.op(BuiltinOperator::SUM, {x, b.ints({1}, {2})}, WITH(Reducer, true));
         const int last =
             b.op(BuiltinOperator::SUM, {x, b.ints({2}, {0, 1})}, WITH(Reducer, false));
         const int y = b.op(BuiltinOperator::MUL, {x, sum}, WITH(Mul));
         b.output(b.op(BuiltinOperator::SUB, {y, last}, WITH(Sub, Activation::RELU6)));
       }},
      {"quotient_and_squared_difference",
       [](B& b) {
         const int x = b.input({1, 5});
         const int y = b.op(BuiltinOperator::DIV, {x, b.weights({1, 5}, "w", 2)}, WITH(Div));
         b.output(b.op(BuiltinOperator::SQUARED_DIFFERENCE, {x, y}));
       }},
      {"same_padding_and_stride",
       [](B& b) {
         b.output(b.op(BuiltinOperator::CONV_2D,
                       {b.input({1, 7, 6, 2}), b.weights({3, 3, 3, 2}, "w"), b.weights({3}, "b")},
                       WITH(Conv2D, Padding::SAME, 2, 2, Activation::RELU_N1_TO_1)));
       }},
      {"valid_padding_and_dilation",
       [](B& b) {
         b.output(b.op(BuiltinOperator::CONV_2D,
                       {b.input({1, 7, 6, 2}), b.weights({3, 3, 2, 2}, "w"), b.weights({3}, "b")},
                       WITH(Conv2D, Padding::VALID, 1, 1, Activation::NONE, 2, 3)));
       }},
      {"grouped_convolution",
       [](B& b) {
         b.output(b.op(BuiltinOperator::CONV_2D,
                       {b.input({1, 4, 4, 4}), b.weights({6, 3, 3, 2}, "w"), b.weights({6}, "b")},
                       WITH(Conv2D, Padding::SAME, 1, 1)));
       }},
      {"depthwise_with_two_filters_a_channel",
       [](B& b) {
         b.output(b.op(BuiltinOperator::DEPTHWISE_CONV_2D,
                       {b.input({1, 5, 5, 3}), b.weights({1, 3, 3, 6}, "w"), b.weights({6}, "b")},
                       WITH(DepthwiseConv2D, Padding::SAME, 2, 2, 2, Activation::RELU6)));
       }},
      {"depthwise_behind_padding",
       [](B& b) {
         const int x = b.op(BuiltinOperator::PAD,
                            {b.input({1, 4, 4, 3}), b.ints({4, 2}, {0, 0, 0, 1, 1, 1, 0, 0})});
         b.output(b.op(BuiltinOperator::DEPTHWISE_CONV_2D,
                       {x, b.weights({1, 3, 3, 3}, "w"), b.weights({3}, "b")},
                       WITH(DepthwiseConv2D, Padding::VALID, 1, 1, 1)));
       }},
      {"pools_that_leave_padding_out",
       [](B& b) {
         const int x = b.input({1, 5, 7, 2});
         const int y =
             b.op(BuiltinOperator::MAX_POOL_2D, {x}, WITH(Pool2D, Padding::SAME, 2, 2, 3, 2));
         b.output(b.op(BuiltinOperator::AVERAGE_POOL_2D, {y},
                       WITH(Pool2D, Padding::SAME, 1, 1, 2, 3, Activation::RELU)));
       }},
      {"fully_connected_of_a_row",
       [](B& b) {
         b.output(b.op(BuiltinOperator::FULLY_CONNECTED,
                       {b.input({1, 2, 3}), b.weights({4, 6}, "w"), b.weights({4}, "b")},
                       WITH(FullyConnected, Activation::RELU)));
       }},
      {"fully_connected_of_rows",
       [](B& b) {
         const int x = b.op(BuiltinOperator::FULLY_CONNECTED,
                            {b.input({1, 5, 3}), b.weights({4, 3}, "w"), b.weights({4}, "b")},
                            WITH(FullyConnected, Activation::NONE, 0, true));
         const int y = b.op(BuiltinOperator::FULLY_CONNECTED, {x, b.weights({2, 4}, "v"), -1},
                            WITH(FullyConnected));
         b.output(b.op(BuiltinOperator::RESHAPE, {y, b.ints({2}, {1, 10})}));
       }},
      {"attention_without_a_batch",
       [](B& b) {
         const int x = b.input({1, 4, 3});
         const int q = b.op(BuiltinOperator::FULLY_CONNECTED, {x, b.weights({3, 3}, "q"), -1},
                            WITH(FullyConnected));
         const int k = b.op(BuiltinOperator::FULLY_CONNECTED, {x, b.weights({3, 3}, "k"), -1},
                            WITH(FullyConnected));
         const int scores =
             b.op(BuiltinOperator::FULLY_CONNECTED, {q, k, -1}, WITH(FullyConnected));
         const int to = b.op(BuiltinOperator::RESHAPE, {scores, b.ints({4}, {1, 1, 4, 4})});
         const int p = b.op(BuiltinOperator::SOFTMAX, {to}, WITH(Softmax, 1.f));
         const int v = b.op(BuiltinOperator::TRANSPOSE, {q, b.ints({2}, {1, 0})});
         const int y = b.op(BuiltinOperator::FULLY_CONNECTED, {p, v, -1}, WITH(FullyConnected));
         b.output(b.op(BuiltinOperator::RESHAPE, {y, b.ints({3}, {1, 4, 3})}));
       }},
      {"matrix_products_with_adjoints",
       [](B& b) {
         const int x = b.input({1, 2, 3, 4});
         const int y = b.op(BuiltinOperator::BATCH_MATMUL, {x, x}, WITH(BatchMatMul, false, true));
         const int z = b.op(BuiltinOperator::BATCH_MATMUL, {x, y}, WITH(BatchMatMul, true, false));
         b.output(b.op(BuiltinOperator::BATCH_MATMUL, {z, b.weights({5, 3}, "w")},
                       WITH(BatchMatMul, false, true)));
       }},
      {"softmax_with_a_factor",
       [](B& b) {
         b.output(b.op(BuiltinOperator::SOFTMAX, {b.input({1, 6})}, WITH(Softmax, 0.5f)));
       }},
      {"means_of_an_image",
       [](B& b) {
         const int x = b.input({1, 4, 3, 5});
         const int y = b.op(BuiltinOperator::MEAN, {x, b.ints({2}, {1, 2})}, WITH(Reducer, true));
         const int z = b.op(BuiltinOperator::MUL, {x, y}, WITH(Mul));
         b.output(b.op(BuiltinOperator::MEAN, {z, b.ints({2}, {-3, -2})}, WITH(Reducer, false)));
       }},
      {"a_shape_that_is_computed",
       [](B& b) {
         const int x = b.input({1, 4, 3});
         const int shape = b.op(BuiltinOperator::SHAPE, {x}, WITH(Shape, tflite::TensorType::INT32),
                                1, tflite::TensorType::INT32);
         const int batch = b.op(BuiltinOperator::STRIDED_SLICE,
                                {shape, b.ints({1}, {0}), b.ints({1}, {1}), b.ints({1}, {1})},
                                WITH(StridedSlice, 0, 0, 0, 0, 1), 1, tflite::TensorType::INT32);
         const int to = b.op(BuiltinOperator::PACK, {batch, b.ints({}, {2}), b.ints({}, {6})},
                             WITH(Pack, 3, 0), 1, tflite::TensorType::INT32);
         b.output(b.op(BuiltinOperator::RESHAPE, {x, to}));
       }},
      {"transposes_of_every_kind",
       [](B& b) {
         int x = b.input({1, 2, 3, 4});
         x = b.op(BuiltinOperator::TRANSPOSE, {x, b.ints({4}, {0, 3, 1, 2})});
         x = b.op(BuiltinOperator::TRANSPOSE, {x, b.ints({4}, {2, 0, 3, 1})});
         x = b.op(BuiltinOperator::RESHAPE, {x, b.ints({2}, {6, -1})});
         x = b.op(BuiltinOperator::TRANSPOSE, {x, b.ints({2}, {1, 0})});
         b.output(b.op(BuiltinOperator::RESHAPE, {x, b.ints({2}, {1, -1})}));
       }},
      {"concatenation_with_a_constant",
       [](B& b) {
         const int x = b.input({1, 2, 3});
         const int y = b.op(BuiltinOperator::CONCATENATION, {b.weights({1, 1, 3}, "token"), x},
                            WITH(Concatenation, 1));
         const int z = b.op(BuiltinOperator::CONCATENATION, {y, y}, WITH(Concatenation, 0));
         b.output(b.op(BuiltinOperator::RESHAPE, {z, b.ints({2}, {1, 18})}));
       }},
      {"pack_and_unpack",
       [](B& b) {
         const int x = b.input({1, 3, 2});
         const int parts = b.op(BuiltinOperator::UNPACK, {x}, WITH(Unpack, 3, 1), 3);
         b.output(b.op(BuiltinOperator::PACK, {parts + 2, parts, b.weights({1, 2}, "w"), parts + 1},
                       WITH(Pack, 4, 2)));
       }},
      {"pieces_along_axes",
       [](B& b) {
         const int x = b.input({1, 4, 6});
         const int halves = b.op(BuiltinOperator::SPLIT, {b.ints({}, {2}), x}, WITH(Split, 2), 2);
         const int pieces =
             b.op(BuiltinOperator::SPLIT_V, {halves + 1, b.ints({2}, {3, -1}), b.ints({}, {1})},
                  WITH(SplitV, 2), 2);
         const int joined = b.op(BuiltinOperator::CONCATENATION, {pieces + 1, halves, pieces},
                                 WITH(Concatenation, 1));
         b.output(b.op(BuiltinOperator::SLICE,
                       {joined, b.ints({3}, {0, 1, 1}), b.ints({3}, {1, 5, -1})}));
       }},
      {"strided_slices_with_masks",
       [](B& b) {
         const int x = b.input({1, 5, 6});
         const int y =
             b.op(BuiltinOperator::STRIDED_SLICE,
                  {x, b.ints({3}, {0, -4, 2}), b.ints({3}, {0, -1, 3}), b.ints({3}, {1, 1, 1})},
                  WITH(StridedSlice, 1, 1 | 2, 0, 0, 4));
         const int z = b.op(BuiltinOperator::STRIDED_SLICE,
                            {x, b.ints({2}, {0, 1}), b.ints({2}, {0, 5}), b.ints({2}, {1, 1})},
                            WITH(StridedSlice, 0, 0, 1, 0, 0));
         const int sum = b.op(BuiltinOperator::MEAN, {z, b.ints({1}, {2})}, WITH(Reducer, false));
         const int part =
             b.op(BuiltinOperator::SLICE, {sum, b.ints({2}, {0, 0}), b.ints({2}, {1, 4})});
         b.output(b.op(BuiltinOperator::ADD, {y, part}, WITH(Add)));
       }},
      {"paddings",
       [](B& b) {
         const int x = b.input({1, 3, 4});
         const int y = b.op(BuiltinOperator::PAD, {x, b.ints({3, 2}, {0, 0, 1, 0, 0, 2})});
         b.output(b.op(BuiltinOperator::PADV2,
                       {y, b.ints({3, 2}, {0, 0, 0, 1, 1, 0}), b.reals({}, {0.5f})}));
       }},
      {"squeezes_and_new_axes",
       [](B& b) {
         int x = b.input({1, 1, 4, 1, 3});
         x = b.op(BuiltinOperator::SQUEEZE, {x},
                  WITH(Squeeze, b.builder().CreateVector(std::vector<int>{1, -2})));
         x = b.op(BuiltinOperator::EXPAND_DIMS, {x, b.ints({}, {-2})});
         b.output(b.op(BuiltinOperator::MUL, {x, b.weights({1, 4, 1, 3}, "w")}, WITH(Mul)));
       }},
      {"layer_normalization_spelled_out",
       [](B& b) {
         const int x = b.input({1, 4, 6});
         const int axes = b.ints({1}, {2});
         const int mean = b.op(BuiltinOperator::MEAN, {x, axes}, WITH(Reducer, true));
         const int squares = b.op(BuiltinOperator::SQUARED_DIFFERENCE, {x, mean});
         const int variance = b.op(BuiltinOperator::MEAN, {squares, axes}, WITH(Reducer, true));
         const int sum = b.op(BuiltinOperator::ADD, {variance, b.reals({}, {1e-3f})}, WITH(Add));
         const int root = b.op(BuiltinOperator::RSQRT, {sum});
         const int factor = b.op(BuiltinOperator::MUL, {root, b.weights({6}, "gamma")}, WITH(Mul));
         const int y = b.op(BuiltinOperator::MUL, {x, factor}, WITH(Mul));
         const int shift = b.op(BuiltinOperator::MUL, {mean, factor}, WITH(Mul));
         const int beta = b.op(BuiltinOperator::SUB, {b.weights({6}, "beta"), shift}, WITH(Sub));
         b.output(b.op(BuiltinOperator::ADD, {y, beta}, WITH(Add)));
       }},
      {"powers_and_bounds",
       [](B& b) {
         int x = b.input({1, 7});
         x = b.op(BuiltinOperator::POW, {x, b.reals({}, {3})});
         x = b.op(BuiltinOperator::MAXIMUM, {x, b.reals({}, {-0.5f})});
         b.output(b.op(BuiltinOperator::MINIMUM, {b.reals({}, {0.25f}), x}));
       }},
      {"gelu_by_a_tanh",
       [](B& b) {
         b.output(b.op(BuiltinOperator::GELU, {b.input({1, 9})}, WITH(Gelu, true)));
       }},
      {"rows_of_a_table",
       [](B& b) {
         const int ids = b.input({1, 4}, "ids", tflite::TensorType::INT32);
         b.output(b.op(BuiltinOperator::GATHER, {b.weights({9, 3}, "table"), ids}, WITH(Gather)));
       }},
      {"normalised_to_length_one",
       [](B& b) {
         b.output(b.op(BuiltinOperator::L2_NORMALIZATION, {b.input({1, 2, 5})}, WITH(L2Norm)));
       }},
      {"repetitions",
       [](B& b) {
         b.output(b.op(BuiltinOperator::TILE, {b.input({1, 2, 3}), b.ints({3}, {1, 3, 2})}));
       }},
      unary("relu_n1_to_1", BuiltinOperator::RELU_N1_TO_1, 2),
      unary("relu6", BuiltinOperator::RELU6, 9),
      unary("logistic", BuiltinOperator::LOGISTIC, 3),
      unary("tanh", BuiltinOperator::TANH, 2),
      unary("hard_swish", BuiltinOperator::HARD_SWISH, 5),
      unary("square", BuiltinOperator::SQUARE),
      unary("sqrt", BuiltinOperator::SQRT, 1, 2),
      unary("rsqrt", BuiltinOperator::RSQRT, 1, 2),
      unary("neg", BuiltinOperator::NEG),
      unary("log_softmax", BuiltinOperator::LOG_SOFTMAX, 3),
      {"tokens_by_an_index_list",
       [](B& b) {
         const int x = b.input({1, 6, 4});
         b.output(b.op(BuiltinOperator::GATHER, {x, b.ints({2, 3}, {0, 1, 2, 3, 2, 5})},
                       WITH(Gather, 1)));
       }},
      {"a_leaky_relu_and_slopes",
       [](B& b) {
         const int x =
             b.op(BuiltinOperator::LEAKY_RELU, {b.input({1, 3, 3, 2})}, WITH(LeakyRelu, 0.2f));
         b.output(b.op(BuiltinOperator::PRELU, {x, b.weights({1, 1, 2}, "slope")}));
       }},
      {"a_reflected_padding",
       [](B& b) {
         b.output(b.op(BuiltinOperator::MIRROR_PAD,
                       {b.input({1, 4, 4, 2}), b.ints({4, 2}, {0, 0, 1, 2, 2, 1, 0, 0})},
                       WITH(MirrorPad, MirrorPadMode::REFLECT)));
       }},
      {"bilinear_of_half_pixels",
       [](B& b) {
         b.output(b.op(BuiltinOperator::RESIZE_BILINEAR,
                       {b.input({1, 3, 4, 2}), b.ints({2}, {7, 6})},
                       WITH(ResizeBilinear, false, true)));
       }},
      {"bilinear_of_aligned_corners",
       [](B& b) {
         b.output(b.op(BuiltinOperator::RESIZE_BILINEAR,
                       {b.input({1, 3, 4, 2}), b.ints({2}, {5, 8})},
                       WITH(ResizeBilinear, true, false)));
       }},
      {"bilinear_of_corners",
       [](B& b) {
         b.output(b.op(BuiltinOperator::RESIZE_BILINEAR,
                       {b.input({1, 3, 4, 2}), b.ints({2}, {6, 8})},
                       WITH(ResizeBilinear, false, false)));
       }},
      {"nearest_neighbours",
       [](B& b) {
         const int x = b.op(BuiltinOperator::RESIZE_NEAREST_NEIGHBOR,
                            {b.input({1, 3, 4, 2}), b.ints({2}, {5, 8})},
                            WITH(ResizeNearestNeighbor, false, true));
         b.output(b.op(BuiltinOperator::RESIZE_NEAREST_NEIGHBOR, {x, b.ints({2}, {10, 3})},
                       WITH(ResizeNearestNeighbor, false, false)));
       }},
      {"a_transposed_convolution",
       [](B& b) {
         const int shape = b.ints({4}, {1, 7, 6, 3});
         b.output(b.op(BuiltinOperator::TRANSPOSE_CONV,
                       {shape, b.weights({3, 3, 2, 2}, "w"), b.input({1, 4, 3, 2})},
                       WITH(TransposeConv, Padding::SAME, 2, 2)));
       }},
      {"blocks_to_depth_and_back",
       [](B& b) {
         int x = b.input({1, 4, 6, 2});
         x = b.op(BuiltinOperator::SPACE_TO_DEPTH, {x}, WITH(SpaceToDepth, 2));
         x = b.op(BuiltinOperator::ADD, {x, b.weights({8}, "w")}, WITH(Add));
         b.output(b.op(BuiltinOperator::DEPTH_TO_SPACE, {x}, WITH(DepthToSpace, 2)));
       }},
      {"largest_of_axes",
       [](B& b) {
         b.output(b.op(BuiltinOperator::REDUCE_MAX, {b.input({1, 4, 5}), b.ints({1}, {1})},
                       WITH(Reducer, false)));
       }},
      unary("elu", BuiltinOperator::ELU, 2),
      unary("exp", BuiltinOperator::EXP),
      unary("log", BuiltinOperator::LOG, 1, 2),
      unary("abs", BuiltinOperator::ABS),
      {"gelu",
       [](B& b) {
         b.output(b.op(BuiltinOperator::GELU, {b.input({1, 9})}, WITH(Gelu)));
       }},
      {"backwards",
       [](B& b) {
         b.output(b.op(BuiltinOperator::REVERSE_V2, {b.input({1, 4, 3}), b.ints({1}, {1})}));
       }},
  };
  return all;
}

struct Golden {
  const char* name;
  double sum, weighted;
  std::vector<double> first;
};
const std::vector<Golden> kGolden = {
#include "tests/import/tflite_ops.inc"
};

std::string bytes_of(const Case& c) {
  B b;
  c.build(b);
  return b.bytes();
}

// Example `number` of a batch is the same whatever the batch is.
std::vector<double> run(const Model& model, int batch) {
  ImportOptions options;
  options.real = DType::f64;
  options.batch = batch;
  Graph graph = model.import(options);
  graph.verify();
  to_channels_last(graph);
  graph.verify();
  const Port& port = graph.inputs.at(0);
  const Shape shape = graph.shape(port.value);
  const bool real = is_real(graph.value(port.value).dtype);
  std::vector<double> reals;
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < shape.elements(); ++i) {
    reals.push_back(test_element(i));
    ids.push_back((i * 5 + 2) % 9);
  }
  const auto values =
      interpret(graph, {{port.name, real ? HostTensor::of_reals(DType::f64, shape, reals)
                                         : HostTensor::of_ints(DType::i32, shape, ids)}});
  return values[static_cast<size_t>(graph.outputs.at(0).value)].reals();
}

}  // namespace

TEST_CASE("operators of TFLite compute what its interpreter computes") {
  if (const char* folder = std::getenv("ATTUNE_WRITE_TFLITE")) {
    for (const Case& c : cases()) {
      const std::string bytes = bytes_of(c), path = std::string(folder) + "/" + c.name;
      std::ofstream(path + ".tflite", std::ios::binary) << bytes;
      std::ofstream(path + ".onnx", std::ios::binary)
          << parse_model(bytes, c.name)->with_tensors({}, {});
    }
    return;
  }
  REQUIRE(kGolden.size() == cases().size());
  for (size_t i = 0; i < kGolden.size(); ++i) {
    const Golden& golden = kGolden[i];
    CAPTURE(std::string(golden.name));
    REQUIRE(std::string(golden.name) == cases()[i].name);
    const ModelPtr model = parse_model(bytes_of(cases()[i]), golden.name);
    const std::vector<double> y = run(*model, 1), three = run(*model, 3);
    REQUIRE(three.size() == 3 * y.size());
    for (size_t k = 0; k < y.size(); ++k) CHECK(std::fabs(three[k] - y[k]) < 1e-12);
    constexpr double kTolerance = 2e-6;  // the interpreter computes in floats
    REQUIRE(y.size() >= golden.first.size());
    double sum = 0, weighted = 0, size = 1;
    for (size_t k = 0; k < y.size(); ++k) {
      sum += y[k];
      weighted += y[k] * test_element(static_cast<int64_t>(k));
      size += std::fabs(y[k]);
    }
    for (size_t k = 0; k < golden.first.size(); ++k)
      CHECK(std::fabs(y[k] - golden.first[k]) < kTolerance * (1 + std::fabs(y[k])));
    CHECK(std::fabs(sum - golden.sum) < kTolerance * size);
    CHECK(std::fabs(weighted - golden.weighted) < kTolerance * size);
  }
}

}  // namespace attune
