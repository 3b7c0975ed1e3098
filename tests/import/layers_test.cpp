// Layers that are imported as compositions: values and gradients are PyTorch's, and a plan of them
// verifies.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include "graph/passes/passes.h"
#include "graph/training/autodiff.h"
#include "sparse_update/pipeline/compile.h"
#include "sparse_update/pipeline/plan_in_memory.h"
#include "sparse_update/pipeline/verify_against_model.h"
#include "tests/graph/support.h"
#include "tests/support/onnx_builder.h"

namespace attune {
namespace {

using Sizes = std::vector<int64_t>;

struct Expected {
  const char* layer;
  int tensor;  // -1: y
  double cosines, sines;
};
constexpr Expected kExpected[] = {
#include "tests/import/layers_reference.inc"
};

struct LayerCase {
  const char* name;
  std::vector<Sizes> tensors;  // "t0", the input, "t1", ..
  std::function<void(OnnxBuilder&)> build;
  int opset = 23;
};

int64_t elements_of(const Sizes& sizes) {
  int64_t elements = 1;
  for (const int64_t size : sizes) elements *= size;
  return elements;
}

float wave(int tensor, int64_t i) {
  const double at = (0.7 + 0.1 * tensor) * static_cast<double>(i + 1);
  return static_cast<float>(0.6 * std::sin(at) + 0.05);
}

onnx::TensorProto& add_tensor(OnnxBuilder& b, const std::string& name, const Sizes& sizes) {
  b.tensor(name, sizes);
  auto& tensors = *b.proto().mutable_graph()->mutable_initializer();
  return tensors[tensors.size() - 1];
}

// The node's inputs are all tensors of the case, then others.
onnx::NodeProto& layer(OnnxBuilder& b, const char* op, int tensors,
                       const std::vector<std::string>& others = {}) {
  std::vector<std::string> inputs;
  for (int i = 0; i < tensors; ++i) inputs.push_back("t" + std::to_string(i));
  inputs.insert(inputs.end(), others.begin(), others.end());
  return b.node(op, inputs, {"y"});
}

// t1 [3,2,2,3] normalised by channels as exporters standardise weights: [1,3,12], and back.
void weight_of_batch_norm(OnnxBuilder& b, const std::vector<std::string>& statistics) {
  b.ints("rows", {1, 3, 12}).ints("filters", {3, 2, 2, 3});
  b.tensor("ones", {3}, 1, 0).tensor("zeros", {3}, 0, 0);
  b.node("Reshape", {"t1", "rows"}, {"as_rows"});
  std::vector<std::string> inputs = {"as_rows", "ones", "zeros"};
  inputs.insert(inputs.end(), statistics.begin(), statistics.end());
  set_float(b.node("BatchNormalization", inputs, {"normal"}), "epsilon", 1e-3f);
  b.node("Reshape", {"normal", "filters"}, {"weight"});
  b.node("Conv", {"t0", "weight", "t2"}, {"y"});
}

void pool_3d(onnx::NodeProto& node) {
  set_ints(node, "kernel_shape", {2, 3, 2});
  set_ints(node, "strides", {2, 2, 2});
  set_ints(node, "pads", {1, 1, 1, 1, 1, 1});
  set_int(node, "ceil_mode", 1);
}

void rotary(OnnxBuilder& b, bool pairs) {
  for (const bool sine : {false, true}) {
    auto& table = add_tensor(b, sine ? "sin" : "cos", {3, 2});
    table.clear_float_data();
    for (int i = 0; i < 6; ++i) {
      const double angle = i / 2 * (i % 2 == 0 ? 1 : 0.25);
      table.add_float_data(static_cast<float>(sine ? std::sin(angle) : std::cos(angle)));
    }
  }
  auto& places = add_tensor(b, "places", {1, 3});
  places.set_data_type(onnx::TensorProto::INT64);
  places.clear_float_data();
  for (int i = 0; i < 3; ++i) places.add_int64_data(i);
  auto& node = layer(b, "RotaryEmbedding", 1, {"cos", "sin", "places"});
  set_int(node, "interleaved", pairs);
  set_int(node, "rotary_embedding_dim", 4);
}

const std::vector<LayerCase>& cases() {
  static const std::vector<LayerCase> all = {
      {"conv 3-D",
       {{2, 4, 5, 6, 4}, {6, 2, 3, 2, 2}, {6}},
       [](OnnxBuilder& b) {
         auto& node = layer(b, "Conv", 3);
         set_ints(node, "strides", {2, 1, 2});
         set_ints(node, "pads", {1, 0, 1, 1, 0, 1});
         set_ints(node, "dilations", {1, 2, 1});
         set_int(node, "group", 2);
       }},
      {"depthwise conv 3-D",
       {{2, 3, 4, 3, 3}, {3, 1, 2, 2, 2}},
       [](OnnxBuilder& b) { set_int(layer(b, "Conv", 2), "group", 3); }},
      {"transposed conv 1-D",
       {{2, 4, 5}, {4, 3, 4}, {3}},
       [](OnnxBuilder& b) {
         auto& node = layer(b, "ConvTranspose", 3);
         set_ints(node, "strides", {3});
         set_ints(node, "pads", {1, 1});
         set_ints(node, "output_padding", {2});
         set_ints(node, "dilations", {2});
       }},
      {"transposed conv 2-D",
       {{2, 4, 3, 4}, {4, 3, 3, 2}, {6}},
       [](OnnxBuilder& b) {
         auto& node = layer(b, "ConvTranspose", 3);
         set_ints(node, "strides", {2, 3});
         set_ints(node, "pads", {1, 0, 1, 0});
         set_ints(node, "output_padding", {1, 2});
         set_int(node, "group", 2);
       }},
      {"transposed conv without a bias",
       {{2, 4, 3, 4}, {4, 3, 3, 2}},
       [](OnnxBuilder& b) { layer(b, "ConvTranspose", 2); }},
      {"transposed conv and batch norm",
       {{2, 4, 3, 4}, {4, 3, 3, 2}, {3}, {3}},
       [](OnnxBuilder& b) {
         b.tensor("mean", {3}, 0.5f, 0).tensor("variance", {3}, 2, 0);
         set_ints(b.node("ConvTranspose", {"t0", "t1"}, {"product"}), "strides", {2, 2});
         auto& norm =
             b.node("BatchNormalization", {"product", "t2", "t3", "mean", "variance"}, {"y"});
         set_float(norm, "epsilon", 1e-3f);
       }},
      {"transposed conv 3-D",
       {{2, 3, 2, 3, 2}, {3, 2, 3, 2, 2}, {2}},
       [](OnnxBuilder& b) {
         auto& node = layer(b, "ConvTranspose", 3);
         set_ints(node, "strides", {2, 1, 2});
         set_ints(node, "pads", {1, 0, 0, 1, 0, 0});
         set_ints(node, "output_padding", {1, 0, 1});
       }},
      {"max pool 3-D", {{2, 3, 5, 6, 7}}, [](OnnxBuilder& b) { pool_3d(layer(b, "MaxPool", 1)); }},
      {"average pool 3-D",
       {{2, 3, 5, 6, 7}},
       [](OnnxBuilder& b) { pool_3d(layer(b, "AveragePool", 1)); }},
      {"average pool 3-D with padding",
       {{2, 3, 5, 6, 7}},
       [](OnnxBuilder& b) {
         auto& node = layer(b, "AveragePool", 1);
         pool_3d(node);
         set_int(node, "count_include_pad", 1);
       }},
      {"average pool 2-D with padding",
       {{2, 3, 6, 7}},
       [](OnnxBuilder& b) {
         auto& node = layer(b, "AveragePool", 1);
         set_ints(node, "kernel_shape", {3, 2});
         set_ints(node, "strides", {2, 2});
         set_ints(node, "pads", {1, 1, 1, 1});
         set_int(node, "ceil_mode", 1);
         set_int(node, "count_include_pad", 1);
       }},
      {"lp pool",
       {{2, 3, 5, 6}},
       [](OnnxBuilder& b) {
         auto& node = layer(b, "LpPool", 1);
         set_int(node, "p", 3);
         set_ints(node, "kernel_shape", {2, 3});
         set_ints(node, "strides", {2, 2});
       }},
      {"group norm",
       {{2, 6, 3, 2}, {6}, {6}},
       [](OnnxBuilder& b) {
         auto& node = layer(b, "GroupNormalization", 3);
         set_int(node, "num_groups", 3);
         set_float(node, "epsilon", 1e-3f);
       }},
      {"group norm, a scale a group",
       {{2, 6, 3, 2}, {3}, {3}},
       [](OnnxBuilder& b) {
         auto& node = layer(b, "GroupNormalization", 3);
         set_int(node, "num_groups", 3);
         set_float(node, "epsilon", 1e-3f);
       },
       18},
      {"instance norm",
       {{2, 3, 4, 2}, {3}, {3}},
       [](OnnxBuilder& b) { set_float(layer(b, "InstanceNormalization", 3), "epsilon", 1e-3f); }},
      {"rms norm",
       {{2, 3, 5}, {5}},
       [](OnnxBuilder& b) { set_float(layer(b, "RMSNormalization", 2), "epsilon", 1e-3f); }},
      {"lrn",
       {{2, 5, 3, 2}},
       [](OnnxBuilder& b) {
         auto& node = layer(b, "LRN", 1);
         set_int(node, "size", 3);
         set_float(node, "alpha", 0.3f);
         set_float(node, "beta", 0.6f);
         set_float(node, "bias", 1.5f);
       }},
      {"l2 norm",
       {{2, 3, 4}},
       [](OnnxBuilder& b) { set_int(layer(b, "LpNormalization", 1), "axis", 1); }},
      {"l1 norm",
       {{2, 3, 4}},
       [](OnnxBuilder& b) { set_int(layer(b, "LpNormalization", 1), "p", 1); }},
      {"fourier transform",
       {{2, 3, 5, 2}},
       [](OnnxBuilder& b) {
         b.ints("length", {4});
         set_int(b.node("DFT", {"t0", "length"}, {"y"}), "axis", 1);
       },
       17},
      {"fourier transform back",
       {{2, 3, 5, 2}},
       [](OnnxBuilder& b) { set_int(layer(b, "DFT", 1), "inverse", 1); }},
      {"frames of a signal",
       {{2, 11, 1}},
       [](OnnxBuilder& b) {
         b.ints("step", {3});
         auto& window = add_tensor(b, "window", {4});
         window.clear_float_data();
         for (const float x : {0.25f, 0.75f, 1.0f, 0.5f}) window.add_float_data(x);
         b.node("STFT", {"t0", "step", "window"}, {"y"});
       }},
      {"standardised weight",
       {{2, 2, 4, 5}, {3, 2, 2, 3}, {3}},
       [](OnnxBuilder& b) {
         b.tensor("epsilon", {1}, 1e-3f);
         set_ints(b.node("ReduceMean", {"t1"}, {"mean"}), "axes", {1, 2, 3});
         b.node("Sub", {"t1", "mean"}, {"centred"});
         b.node("Mul", {"centred", "centred"}, {"squares"});
         set_ints(b.node("ReduceMean", {"squares"}, {"variance"}), "axes", {1, 2, 3});
         b.node("Add", {"variance", "epsilon"}, {"shifted"});
         b.node("Sqrt", {"shifted"}, {"deviation"});
         b.node("Div", {"centred", "deviation"}, {"weight"});
         b.node("Conv", {"t0", "weight", "t2"}, {"y"});
       },
       17},
      {"weight of a batch norm in training",
       {{2, 2, 4, 5}, {3, 2, 2, 3}, {3}},
       [](OnnxBuilder& b) {
         weight_of_batch_norm(b, {"zeros", "ones"});
         set_int(*b.proto().mutable_graph()->mutable_node(1), "training_mode", 1);
       },
       17},
      {"weight of a batch norm by computed statistics",
       {{2, 2, 4, 5}, {3, 2, 2, 3}, {3}},
       [](OnnxBuilder& b) {
         const auto mean = [&](const char* x, const char* y) {
           onnx::NodeProto& node = b.node("ReduceMean", {x}, {y});
           set_ints(node, "axes", {1, 2, 3}), set_int(node, "keepdims", 0);
         };
         mean("t1", "mean");
         b.ints("column", {3, 1, 1, 1});
         b.node("Reshape", {"mean", "column"}, {"wide_mean"});
         b.node("Sub", {"t1", "wide_mean"}, {"centred"});
         b.node("Mul", {"centred", "centred"}, {"squares"});
         mean("squares", "variance");
         weight_of_batch_norm(b, {"mean", "variance"});
       },
       17},
      {"weight of two",
       {{2, 2, 4, 5}, {3, 2, 3, 3}, {3, 2, 1, 1}, {3}, {3}},
       [](OnnxBuilder& b) {
         b.ints("pads", {0, 0, 1, 1, 0, 0, 1, 1});
         b.node("Pad", {"t2", "pads"}, {"wide"});
         b.node("Add", {"t1", "wide"}, {"weight"});
         b.node("Add", {"t3", "t4"}, {"bias"});
         set_ints(b.node("Conv", {"t0", "weight", "bias"}, {"y"}), "pads", {1, 1, 1, 1});
       }},
      {"attention",
       {{2, 4, 3, 5}, {2, 2, 3, 5}, {2, 2, 3, 4}},
       [](OnnxBuilder& b) { set_int(layer(b, "Attention", 3), "is_causal", 1); }},
      {"attention that sees nothing",
       {{2, 3, 8}, {2, 4, 8}, {2, 4, 6}},
       [](OnnxBuilder& b) {
         auto& mask = add_tensor(b, "mask", {3, 4});
         mask.set_data_type(onnx::TensorProto::BOOL);
         mask.clear_float_data();
         for (const int seen : {1, 1, 0, 1, 0, 0, 0, 0, 0, 1, 1, 0}) mask.add_int32_data(seen);
         auto& node = layer(b, "Attention", 3, {"mask"});
         set_int(node, "q_num_heads", 2);
         set_int(node, "kv_num_heads", 2);
         set_float(node, "scale", 0.3f);
       }},
      {"attention with a bias",
       {{2, 2, 3, 5}, {2, 2, 4, 5}, {2, 2, 4, 4}, {2, 3, 4}},
       [](OnnxBuilder& b) { layer(b, "Attention", 4); }},
      {"rotary, halves", {{2, 2, 3, 6}}, [](OnnxBuilder& b) { rotary(b, false); }},
      {"rotary, pairs", {{2, 2, 3, 6}}, [](OnnxBuilder& b) { rotary(b, true); }},
  };
  return all;
}

OnnxBuilder model_of(const LayerCase& c) {
  OnnxBuilder b(c.opset);
  b.input("t0", c.tensors[0]);
  for (int i = 1; i < static_cast<int>(c.tensors.size()); ++i) {
    auto& tensor = add_tensor(b, "t" + std::to_string(i), c.tensors[i]);
    tensor.clear_float_data();
    for (int64_t at = 0; at < elements_of(c.tensors[i]); ++at) tensor.add_float_data(wave(i, at));
  }
  c.build(b);
  return b;
}

void check_tensor(const char* name, int tensor, const std::vector<double>& values) {
  CAPTURE(tensor);
  const auto expected = std::find_if(
      std::begin(kExpected), std::end(kExpected),
      [&](const Expected& e) { return std::string(e.layer) == name && e.tensor == tensor; });
  REQUIRE(expected != std::end(kExpected));
  double cosines = 0, sines = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    cosines += values[i] * std::cos(static_cast<double>(i + 1));
    sines += values[i] * std::sin(static_cast<double>(i + 1));
  }
  CHECK(cosines == doctest::Approx(expected->cosines).epsilon(1e-10));
  CHECK(sines == doctest::Approx(expected->sines).epsilon(1e-10));
}

}  // namespace

TEST_CASE("layers that are compositions have PyTorch's values and gradients") {
  for (const LayerCase& c : cases())
    for (const bool optimised : {false, true}) {
      CAPTURE(std::string(c.name));
      CAPTURE(optimised);
      ImportOptions options;
      options.real = DType::f64;
      options.batch = 2;
      OnnxBuilder b = model_of(c);
      Graph graph = b.output("y").import(options);
      Value& x = graph.value(graph.input("t0"));
      x.role = Role::parameter;
      std::vector<double> reals;
      for (int64_t i = 0; i < elements_of(c.tensors[0]); ++i) reals.push_back(wave(0, i));
      x.data = Data::of_reals(reals);
      x.origin = {"t0", c.tensors[0], x.shape};
      graph.inputs.clear();
      if (optimised) to_channels_last(graph);
      std::map<std::string, ValueId> found;
      for (size_t v = 0; v < graph.values.size(); ++v)
        if (graph.values[v].role == Role::parameter)
          found.emplace(graph.values[v].origin.tensor, static_cast<ValueId>(v));
      std::vector<ValueId> wanted;
      for (size_t i = 0; i < c.tensors.size(); ++i) {
        REQUIRE(found.contains("t" + std::to_string(i)));
        wanted.push_back(found.at("t" + std::to_string(i)));
      }
      const ValueId y = graph.output("y");
      std::vector<double> weights;
      for (int64_t i = 0; i < graph.shape(y).elements(); ++i)
        weights.push_back(std::sin(0.9 * static_cast<double>(i + 1)));
      const ValueId dy = graph.add_constant("dy", graph.shape(y), weights);
      const auto gradients = differentiate(graph, {{y, dy}}, wanted);
      graph.verify();
      const std::vector<HostTensor> values = interpret(graph, {});
      check_tensor(c.name, -1, values[y].reals());
      for (size_t i = 0; i < wanted.size(); ++i) {
        REQUIRE(gradients.contains(wanted[i]));
        const auto data = Data::of_reals(values[gradients.at(wanted[i])].reals());
        const auto in_order = in_model_order(*data, graph.value(wanted[i]).origin);
        check_tensor(c.name, static_cast<int>(i), in_order->reals());
      }
    }
}

TEST_CASE("plans of these layers, and what follows them, mean what the models do") {
  for (const LayerCase& c : cases()) {
    CAPTURE(std::string(c.name));
    OnnxBuilder b = model_of(c);
    ImportOptions two;
    two.batch = 2;
    const Graph probe = OnnxBuilder(b).output("y").import(two);
    const Shape& y = probe.shape(probe.output("y"));
    b.tensor("head", {y.product(1, y.rank), 3}, -0.4f, 0.01f).output("scores");
    b.node("Relu", {"y"}, {"positive"});
    b.node("Flatten", {"positive"}, {"flat"});
    b.node("Gemm", {"flat", "head"}, {"scores"});
    const OnnxModel model = b.model();
    for (const auto& [scheme, strips] :
         {std::pair{"full", false}, {"head", false}, {"full", true}}) {
      CAPTURE(std::string(scheme));
      CAPTURE(strips);
      // Its keys are of a batch of 2.
      if (strips && std::string(c.name).starts_with("attention")) continue;
      CompileOptions options;
      options.scheme = scheme;
      options.batch = options.predict_batch = strips ? 1 : 2;
      options.tile = options.split_gradients = options.remake_masks = strips;
      const PlanInMemory plan(compile(model, options).plan, c.name);
      const VerifyReport report =
          verify_plan_against_model(plan.plan(), model, nullptr, {.examples = 2});
      CHECK_MESSAGE(report.ok(), report.json());
      CHECK(report.loss_session == doctest::Approx(report.loss_model).epsilon(1e-5));
    }
  }
}

TEST_CASE("a frozen weight that is computed is a constant of the plan") {
  for (const LayerCase& c : cases()) {
    if (std::string(c.name) != "standardised weight") continue;
    OnnxBuilder b = model_of(c);
    b.tensor("head", {3 * 3 * 3, 3}).output("scores");
    b.node("Flatten", {"y"}, {"flat"});
    b.node("Gemm", {"flat", "head"}, {"scores"});
    for (const char* scheme : {"head", "full"}) {
      CompileOptions options;
      options.scheme = scheme;
      options.batch = 2;
      for (const auto& program : compile(b.model(), options).contents.programs)
        CHECK((count_ops(program.graph, Op::div) == 0) == (std::string(scheme) == "head"));
    }
  }
}

}  // namespace attune
