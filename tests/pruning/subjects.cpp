#include "tests/pruning/subjects.h"

#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/format/plan_tensor.h"
#include "graph/ir/error.h"
#include "sparse_update/layers.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

using Json = nlohmann::json;

// Numbers in -1 .. 1 from splitmix64.
class Numbers {
 public:
  explicit Numbers(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u) {}
  double next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-52 - 1;
  }

 private:
  uint64_t state_;
};

// Scheme files, for as long as the process lives.
class SchemeFiles {
 public:
  std::string write(const Json& json) {
    const std::string path = folder_ + "/" + std::to_string(count_++) + ".json";
    std::ofstream(path) << json;
    return path;
  }
  SchemeFiles() {
    folder_ = (std::filesystem::temp_directory_path() / "attune_schemes.XXXXXX").string();
    if (::mkdtemp(folder_.data()) == nullptr) throw_error("cannot make {}", folder_);
  }
  ~SchemeFiles() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

 private:
  std::string folder_;
  int count_ = 0;
};

std::string write_scheme(const Json& json) {
  static SchemeFiles files;
  return files.write(json);
}

// The scheme and its twin that trains the same weights whole.
std::pair<std::string, std::string> with_whole_twin(const Json& json) {
  Json whole = json;
  for (const char* list : {"layers", "parameters"})
    if (whole.contains(list))
      for (Json& entry : whole[list]) {
        entry.erase("input_channels");
        entry.erase("output_channels");
      }
  return {write_scheme(json), write_scheme(whole)};
}

// Layers by name, one after the other. "l" has the tensors "l.w" and, without batch norm, "l.b".
class NetBuilder {
 public:
  explicit NetBuilder(bool norms) : norms_(norms) {}

  OnnxBuilder onnx;

  void tensor(const std::string& name, const std::vector<int64_t>& dims, double scale,
              double offset = 0) {
    onnx.tensor(name, dims, 0, 0);
    auto* made = onnx.proto().mutable_graph()->mutable_initializer(
        onnx.proto().graph().initializer_size() - 1);
    for (float& x : *made->mutable_float_data())
      x = static_cast<float>(offset + scale * numbers_.next());
  }

  // A weight scaled so that activations keep their size.
  void weight(const std::string& name, const std::vector<int64_t>& dims) {
    double inputs = 1;
    for (size_t i = 1; i < dims.size(); ++i) inputs *= static_cast<double>(dims[i]);
    tensor(name, dims, std::sqrt(5 / inputs));
  }

  // Convolution with the weight `w`, then batch norm or a bias. Returns the output's name.
  std::string conv(const std::string& layer, const std::string& x, const std::string& w,
                   int64_t outputs, int64_t kernel, int64_t stride, std::vector<int64_t> pads,
                   int64_t groups = 1) {
    std::vector<std::string> inputs = {x, w};
    if (!norms_) {
      tensor(layer + ".b", {outputs}, 0.3);
      inputs.push_back(layer + ".b");
    }
    onnx::NodeProto& node = onnx.node("Conv", inputs, {layer});
    set_ints(node, "kernel_shape", {kernel, kernel});
    set_ints(node, "strides", {stride, stride});
    set_ints(node, "pads", pads);
    set_int(node, "group", groups);
    return norms_ ? norm(layer, outputs) : layer;
  }

  std::string norm(const std::string& layer, int64_t channels) {
    tensor(layer + ".gamma", {channels}, 0.3, 1);
    tensor(layer + ".beta", {channels}, 0.3);
    tensor(layer + ".mean", {channels}, 0.2);
    tensor(layer + ".var", {channels}, 0.4, 1);
    onnx.node("BatchNormalization",
              {layer, layer + ".gamma", layer + ".beta", layer + ".mean", layer + ".var"},
              {layer + ".norm"});
    return layer + ".norm";
  }

  std::string unary(const std::string& op, const std::string& x) {
    onnx.node(op, {x}, {x + "." + op});
    return x + "." + op;
  }

  std::string relu6(const std::string& x) {
    if (!clip_bounds_) {
      onnx.tensor("zero", {}, 0, 0);
      onnx.tensor("six", {}, 6, 0);
      clip_bounds_ = true;
    }
    onnx.node("Clip", {x, "zero", "six"}, {x + ".relu6"});
    return x + ".relu6";
  }

  std::string linear(const std::string& layer, const std::string& x, const std::string& w,
                     int64_t outputs) {
    tensor(layer + ".b", {outputs}, 0.3);
    set_int(onnx.node("Gemm", {x, w, layer + ".b"}, {layer}), "transB", 1);
    return layer;
  }

 private:
  bool norms_;
  bool clip_bounds_ = false;
  Numbers numbers_{17};
};

OnnxModel conv_net(bool norms) {
  NetBuilder net(norms);
  net.onnx.input("x", {-1, 3, 11, 9});
  net.weight("conv.w", {10, 3, 3, 3});
  std::string at = net.relu6(net.conv("conv", "x", "conv.w", 10, 3, 2, {1, 0, 1, 1}));
  net.weight("depthwise.w", {10, 1, 3, 3});
  at = net.unary("Relu", net.conv("depthwise", at, "depthwise.w", 10, 3, 1, {1, 1, 1, 1}, 10));
  net.weight("pointwise.w", {12, 10, 1, 1});
  at = net.relu6(net.conv("pointwise", at, "pointwise.w", 12, 1, 1, {0, 0, 0, 0}));
  net.weight("grouped.w", {9, 4, 3, 3});
  at = net.unary("Relu", net.conv("grouped", at, "grouped.w", 9, 3, 1, {1, 1, 1, 1}, 3));
  const std::string residual = at;
  net.weight("tied.w", {9, 9, 1, 1});
  at = net.unary("Relu", net.conv("tied1", at, "tied.w", 9, 1, 1, {0, 0, 0, 0}));
  at = net.conv("tied2", at, "tied.w", 9, 1, 1, {0, 0, 0, 0});
  net.onnx.node("Add", {at, residual}, {"sum"});
  onnx::NodeProto& pool = net.onnx.node("MaxPool", {"sum"}, {"pool"});
  set_ints(pool, "kernel_shape", {2, 2});
  set_ints(pool, "strides", {2, 2});
  at = net.unary("Flatten", net.unary("GlobalAveragePool", "pool"));
  net.weight("hidden.w", {11, 9});
  at = net.unary("Relu", net.linear("hidden", at, "hidden.w", 11));
  net.weight("head.w", {5, 11});
  net.onnx.output(net.linear("head", at, "head.w", 5));
  return net.onnx.model();
}

OnnxModel dense_net() {
  NetBuilder net(false);
  net.onnx.input("x", {-1, 23});
  net.weight("first.w", {17, 23});
  std::string at = net.unary("Relu", net.linear("first", "x", "first.w", 17));
  net.weight("tied.w", {17, 17});
  at = net.unary("Relu", net.linear("tied1", at, "tied.w", 17));
  at = net.unary("Relu", net.linear("tied2", at, "tied.w", 17));
  net.weight("head.w", {4, 17});
  net.onnx.output(net.linear("head", at, "head.w", 4));
  return net.onnx.model();
}

Json slice(const char* name, const char* kind, const Json& channels) {
  return {{"name", name}, {kind, channels}};
}

Subject finish(std::string name, OnnxModel model, std::vector<std::string> schemes,
               const std::vector<Json>& sliced) {
  Subject subject{std::move(name), std::move(model), false, false, std::move(schemes), {}};
  const Graph graph = forward_graph(subject.model, compile_options("head", true), 1);
  for (const Node& node : graph.nodes) subject.has_norms |= node.op == Op::batch_norm;
  for (const Json& json : sliced) {
    subject.sliced.push_back(with_whole_twin(json));
    subject.schemes.push_back(subject.sliced.back().first);
  }
  return subject;
}

Subject conv_subject(bool norms) {
  const Json inputs = {
      {"bias_last", 2},
      {"parameters",
       {slice("conv.w", "input_channels", {2}), slice("depthwise.w", "input_channels", {0, 5, 9}),
        slice("pointwise.w", "input_channels", {1, 2, 8}), slice("tied.w", "input_channels", 0.4),
        slice("hidden.w", "input_channels", 0.5)}}};
  const Json outputs = {
      {"head", false},
      {"parameters",
       {slice("conv.w", "output_channels", {0, 3, 9}), slice("depthwise.w", "output_channels", 0.7),
        slice("pointwise.w", "output_channels", 0.3),
        slice("grouped.w", "output_channels", {0, 4, 8}), slice("tied.w", "output_channels", {0}),
        slice("hidden.w", "output_channels", {0, 10}),
        slice("head.w", "output_channels", {1, 3, 4})}}};
  const Json late = {
      {"layers",
       {{{"layer", 3}, {"output_channels", 0.5}}, {{"layer", 2}, {"input_channels", {9}}}}}};
  return finish(norms ? "convolutions with batch norm" : "convolutions", conv_net(norms),
                {"head", "last:1", "last:2", "last:4", "last:5", "bias:1", "bias:4", "bias:6"},
                {inputs, outputs, late});
}

Subject dense_subject() {
  return finish(
      "matrix products", dense_net(), {"head", "last:1", "bias:2"},
      {{{"parameters",
         {slice("first.w", "input_channels", {0, 1, 22}),
          slice("tied.w", "output_channels", 0.3)}}},
       {{"head", false},
        {"parameters",
         {slice("first.w", "output_channels", {16}), slice("head.w", "input_channels", 0.5)}}}});
}

void add_shared(std::vector<Subject>* subjects, const std::string& file) {
  const std::string path = std::string(ATTUNE_SOURCE_DIR) + "/../shared/models/" + file;
  if (!std::filesystem::exists(path)) return;
  OnnxModel model = OnnxModel::load(path);
  const auto layers = find_layers(forward_graph(model, compile_options("head", true), 1));
  Json chosen = Json::array();
  const int last = static_cast<int>(layers.size()) - 2;
  for (int i = 0; i < 4; ++i) chosen.push_back({{"layer", last - i}, {"input_channels", 0.25}});
  for (int i = 4; i < 8 && i <= last; ++i)
    chosen.push_back({{"layer", last - i}, {"output_channels", 0.125}});
  subjects->push_back(finish(file, std::move(model), {"head", "last:3", "bias:6"},
                             {{{"bias_last", 5}, {"layers", chosen}}}));
  subjects->back().is_large = true;
}

}  // namespace

const std::vector<Subject>& small_subjects() {
  static const std::vector<Subject> subjects = [] {
    std::vector<Subject> list;
    list.push_back(conv_subject(true));
    list.push_back(conv_subject(false));
    list.push_back(dense_subject());
    return list;
  }();
  return subjects;
}

const std::vector<Subject>& shared_subjects() {
  static const std::vector<Subject> subjects = [] {
    std::vector<Subject> list;
    for (const char* file : {"mcunet-5fps-f32.onnx", "mbv2-w0.35-f32.onnx", "ds_cnn_kws-f32.onnx"})
      add_shared(&list, file);
    return list;
  }();
  return subjects;
}

std::vector<const Subject*> all_subjects() {
  std::vector<const Subject*> all;
  for (const auto* list : {&small_subjects(), &shared_subjects()})
    for (const Subject& subject : *list) all.push_back(&subject);
  return all;
}

std::vector<std::string> session_schemes(const Subject& subject) {
  if (subject.is_large) return {subject.schemes.back()};
  std::vector<std::string> schemes = subject.schemes;
  schemes.push_back("full");
  return schemes;
}

CompileOptions compile_options(const std::string& scheme, bool fuse) {
  CompileOptions options;
  options.scheme = scheme;
  options.batch = 3;
  options.predict_batch = 2;
  options.fuse = fuse;
  return options;
}

void fill_inputs(const Session& session, ProgramKind kind, int step) {
  Numbers numbers(static_cast<uint64_t>(step) + 100);
  const Tensor x = session.port(kind, PortRole::input).tensor;
  for (int64_t i = 0; i < x.shape.elements(); ++i) {
    const double value = 2 * numbers.next();
    if (x.dtype == DType::f64)
      x.as<double>()[i] = value;
    else
      x.as<float>()[i] = static_cast<float>(value);
  }
  if (kind == ProgramKind::predict) return;
  const Tensor labels = session.input(kind, "labels"), weights = session.input(kind, "weights");
  const int classes = session.plan().table().class_count();
  for (int i = 0; i < labels.shape[0]; ++i) {
    labels.as<int32_t>()[i] = (3 * step + i) % classes;
    const bool absent = step % 3 == 2 && i == labels.shape[0] - 1;
    if (weights.dtype == DType::f64)
      weights.as<double>()[i] = absent ? 0 : 1;
    else
      weights.as<float>()[i] = absent ? 0 : 1;
  }
  if (kind != ProgramKind::train_step) return;
  const Tensor rate = session.input(kind, "learning_rate");
  if (rate.dtype == DType::f64)
    *rate.as<double>() = 0.01;
  else
    *rate.as<float>() = 0.01f;
  if (const Tensor number = session.input(kind, "step")) *number.as<int32_t>() = step + 1;
}

std::vector<NamedGradient> run_gradients(const CompiledPlan& compiled, Session& session) {
  fill_inputs(session, ProgramKind::train_step, 0);
  require(session.run(ProgramKind::train_step));
  std::vector<NamedGradient> gradients;
  for (const format::Parameter* parameter : compiled.parameters()) {
    const Tensor tensor =
        session.output(ProgramKind::train_step, "grad:" + parameter->name()->str());
    if (!tensor) throw_error("no gradient of {}", parameter->name()->str());
    gradients.push_back({parameter, tensor});
  }
  return gradients;
}

bool same_bits(const std::vector<double>& a, const std::vector<double>& b) {
  for (double x : a)
    if (std::isnan(x)) return false;
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0;
}

}  // namespace attune::test
