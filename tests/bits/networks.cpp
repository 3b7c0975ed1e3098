#include "tests/bits/networks.h"

#include <filesystem>
#include <functional>
#include <map>

#include "graph/error.h"
#include "sparse_update/cost/representative.h"
#include "tests/plan/support.h"
#include "tests/pruning/subjects.h"
#include "tests/search/subjects.h"

namespace attune::test {
namespace {

// Those of tests/pruning, which have choices of channels.
const Subject* find_subject(const std::string& network) {
  static const std::map<std::string, size_t> places = {
      {"odd_convolutions_norms", 0}, {"odd_convolutions", 1}, {"tied_products", 2}};
  const auto found = places.find(network);
  return found == places.end() ? nullptr : &small_subjects().at(found->second);
}

OnnxModel make(const std::string& network) {
  using Make = std::function<OnnxModel()>;
  static const std::map<std::string, Make> makers = {
      {"convnet", [] { return convnet(); }},
      {"convnet_softmax", [] { return convnet({.flatten = "Reshape", .softmax = true}); }},
      {"small_net", [] { return small_net(2); }},
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
      {"kws",
       [] { return OnnxModel::load(ATTUNE_SOURCE_DIR "/examples/keyword_spotting/kws.onnx"); }}};
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

const OnnxModel* find_network(const std::string& network) {
  if (const Subject* subject = find_subject(network)) return &subject->model;
  static std::map<std::string, OnnxModel> known;
  if (const auto found = known.find(network); found != known.end()) return &found->second;
  const bool is_published = kind_of(network) == NetworkKind::published;
  const std::string path = ATTUNE_SOURCE_DIR "/../shared/" + network + ".onnx";
  if (is_published && !std::filesystem::exists(path)) return nullptr;
  return &known.emplace(network, is_published ? OnnxModel::load(path) : make(network))
              .first->second;
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
