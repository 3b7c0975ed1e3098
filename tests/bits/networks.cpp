#include "tests/bits/networks.h"

#include <filesystem>
#include <functional>
#include <map>

#include "engine/random.h"
#include "graph/ir/error.h"
#include "sparse_update/cost/representative.h"
#include "tests/plan/support.h"
#include "tests/pruning/subjects.h"
#include "tests/search/subjects.h"
#include "tests/support/onnx_builder.h"

namespace attune::test {
namespace {

// Those of tests/pruning, which have choices of channels.
const Subject* find_subject(const std::string& network) {
  static const std::map<std::string, size_t> places = {
      {"odd_convolutions_norms", 0}, {"odd_convolutions", 1}, {"tied_products", 2}};
  const auto found = places.find(network);
  return found == places.end() ? nullptr : &small_subjects().at(found->second);
}

// What the others lack: gates (squeeze and excite), every smooth activation, both pools, branches
// that are split and joined, attention over positions.
OnnxModel gates_network() {
  OnnxBuilder net;
  Random random(11, 0);
  const auto tensor = [&](const std::string& name, const std::vector<int64_t>& dims) {
    net.tensor(name, dims, 0, 0);
    auto& graph = *net.proto().mutable_graph();
    for (float& x : *graph.mutable_initializer(graph.initializer_size() - 1)->mutable_float_data())
      x = static_cast<float>(random.below(2001)) / 2000 - 0.5f;
  };
  const auto conv = [&](const std::string& name, const std::string& x, int64_t in, int64_t out) {
    tensor(name + ".w", {out, in, 3, 3}), tensor(name + ".b", {out});
    onnx::NodeProto& node = net.node("Conv", {x, name + ".w", name + ".b"}, {name});
    set_ints(node, "kernel_shape", {3, 3}), set_ints(node, "pads", {1, 1, 1, 1});
  };
  const auto linear = [&](const std::string& name, const std::string& x, int64_t in, int64_t out) {
    tensor(name + ".w", {out, in}), tensor(name + ".b", {out});
    set_int(net.node("Gemm", {x, name + ".w", name + ".b"}, {name}), "transB", 1);
  };
  net.input("x", {-1, 3, 12, 10}).output("scores");
  conv("stem", "x", 3, 8);
  net.node("Tanh", {"stem"}, {"stem.tanh"});
  onnx::NodeProto& pool = net.node("AveragePool", {"stem.tanh"}, {"pooled"});
  set_ints(pool, "kernel_shape", {2, 2}), set_ints(pool, "strides", {2, 2});
  net.node("GlobalAveragePool", {"pooled"}, {"mean"});
  net.node("Flatten", {"mean"}, {"flat"});
  linear("squeeze", "flat", 8, 8);
  net.node("Sigmoid", {"squeeze"}, {"gate"});
  net.ints("gate.shape", {-1, 8, 1, 1}).node("Reshape", {"gate", "gate.shape"}, {"gate.image"});
  net.node("Mul", {"pooled", "gate.image"}, {"gated"});
  conv("left", "gated", 8, 8), conv("right", "gated", 8, 8);
  net.node("HardSigmoid", {"left"}, {"left.on"}), net.node("HardSwish", {"right"}, {"right.on"});
  net.node("Sub", {"left.on", "right.on"}, {"difference"});
  set_int(net.node("Concat", {"difference", "pooled"}, {"both"}), "axis", 1);
  onnx::NodeProto& peak = net.node("MaxPool", {"both"}, {"peaks"});
  set_ints(peak, "kernel_shape", {2, 2}), set_ints(peak, "strides", {1, 1});
  // [N,16,5,4] to 20 positions of 16 channels.
  net.ints("rows.shape", {-1, 16, 20}).node("Reshape", {"peaks", "rows.shape"}, {"columns"});
  set_ints(net.node("Transpose", {"columns"}, {"rows"}), "perm", {0, 2, 1});
  net.node("MatMul", {"rows", "columns"}, {"products"});
  net.tensor("/Constant_output_0", {}, 16, 0);  // an exporter's: not trained
  net.node("Div", {"products", "/Constant_output_0"}, {"scaled"});
  set_int(net.node("Softmax", {"scaled"}, {"attention"}), "axis", -1);
  net.node("MatMul", {"attention", "rows"}, {"mixed"});
  onnx::NodeProto& mean = net.node("ReduceMean", {"mixed"}, {"features"});
  set_ints(mean, "axes", {1}), set_int(mean, "keepdims", 0);
  linear("head", "features", 16, 5);
  net.node("Identity", {"head"}, {"scores"});
  return net.model();
}

ModelPtr shared(OnnxModel model) { return std::make_shared<OnnxModel>(std::move(model)); }

ModelPtr make(const std::string& network) {
  using Make = std::function<ModelPtr()>;
  static const std::map<std::string, Make> makers = {
      {"convnet", [] { return shared(convnet()); }},
      {"convnet_softmax", [] { return shared(convnet({.flatten = "Reshape", .softmax = true})); }},
      {"gates", [] { return shared(gates_network()); }},
      {"small_net", [] { return shared(small_net(2)); }},
      {"mobile",
       [] {
         return mobile_network({64, {8, 16, 24}, 3, 3, 2, false, false});
       }},
      {"mobile_norms",
       [] {
         return mobile_network({48, {8, 12, 16}, 2, 5, 2, true, true});
       }},
      {"mobile_wide",
       [] {
         return mobile_network({48, {4, 8, 12}, 2, 3, 4, false, false});
       }},
      {"residual",
       [] {
         return residual_network(32, {8, 16});
       }},
      {"keyword", [] { return keyword_network(16); }},
      {"dense",
       [] {
         return dense_network({12, 20, 8});
       }},
      {"kws", [] { return load_model(ATTUNE_SOURCE_DIR "/examples/keyword_spotting/kws.onnx"); }}};
  const auto found = makers.find(network);
  if (found == makers.end()) throw_error("recorded.txt: there is no network '{}'", network);
  return found->second();
}

}  // namespace

NetworkKind kind_of(const std::string& network) {
  if (network.find('/') != std::string::npos) return NetworkKind::published;
  const bool is_large = network.starts_with("mobile") || network == "residual";
  return is_large ? NetworkKind::large : NetworkKind::small;
}

const Model* find_network(const std::string& network) {
  if (const Subject* subject = find_subject(network)) return &subject->model;
  static std::map<std::string, ModelPtr> known;
  if (const auto found = known.find(network); found != known.end()) return found->second.get();
  const bool is_published = kind_of(network) == NetworkKind::published;
  const std::string path = ATTUNE_SOURCE_DIR "/../shared/" + network + ".onnx";
  if (is_published && !std::filesystem::exists(path)) return nullptr;
  return known.emplace(network, is_published ? load_model(path) : make(network))
      .first->second.get();
}

std::string scheme_of(const std::string& network, const std::string& scheme) {
  if (scheme.ends_with(".json")) return ATTUNE_SOURCE_DIR "/" + scheme;
  const size_t colon = scheme.find(':');
  const std::string kind = scheme.substr(0, colon);
  if (kind != "slices" && kind != "whole") return scheme;
  const Subject* subject = find_subject(network);
  if (!subject) throw_error("recorded.txt: {} has no '{}'", network, scheme);
  const auto& [slices, whole] = subject->sliced.at(std::stoul(scheme.substr(colon + 1)));
  return kind == "slices" ? slices : whole;
}

}  // namespace attune::test
