#include "bench/peers/onednn/description.h"

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace onednn_peer {
namespace {

using Json = nlohmann::json;

constexpr int kExamples = 8;  // in MODEL.data

Node node_of(const Json& json) {
  Node node;
  node.op = json["op"];
  node.inputs = json["inputs"].get<std::vector<int>>();
  node.weight = json.value("weight", Dims{});
  node.stride = json.value("stride", Dims{1, 1});
  node.kernel = json.value("kernel", Dims{});
  node.groups = json.value("groups", 1);
  const Dims pads = json.value("pads", Dims{0, 0, 0, 0});
  node.pad_begin = {pads[0], pads[1]};
  node.pad_end = {pads[2], pads[3]};
  if (const Json& clamp = json["clamp"]; !clamp.is_null()) {
    node.clamps = true;
    node.low = clamp[0];
    node.high = clamp[1].is_null() ? std::numeric_limits<float>::infinity() : clamp[1].get<float>();
    if (node.is_relu() && node.low != 0)
      throw std::runtime_error("a clamp without an upper bound must be a ReLU");
  }
  return node;
}

std::vector<float> read_floats(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) throw std::runtime_error(path + ": cannot be read; run export_model.py first");
  std::vector<float> data(static_cast<size_t>(file.tellg()) / sizeof(float));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(data.data()),
            static_cast<std::streamsize>(data.size() * sizeof(float)));
  return data;
}

}  // namespace

Description read_description(const std::string& folder, const std::string& model,
                             const std::string& scheme, int batch) {
  const std::string path = folder + "/" + model;
  std::ifstream file(path + ".json");
  if (!file) throw std::runtime_error(path + ".json: cannot be read; run export_model.py first");
  const Json json = Json::parse(file);
  Description result;
  result.input = {batch};
  int64_t image = 1;
  for (int64_t dim : json["input"]) result.input.push_back(dim), image *= dim;
  size_t layers = 0;
  for (const Json& node : json["nodes"]) {
    result.nodes.push_back(node_of(node));
    layers += result.nodes.back().is_layer();
  }
  const auto chosen = [&](const char* key) {
    std::vector<bool> all(layers, false);
    for (size_t i : json["trained"].at(scheme)[key]) all.at(i) = true;
    return all;
  };
  result.weight_trained = chosen("weights");
  result.bias_trained = chosen("biases");
  result.parameters = read_floats(path + ".weights");
  const std::vector<float> data = read_floats(path + ".data");
  if (batch > kExamples) throw std::runtime_error("a batch is at most 8");
  const auto images = data.begin() + kExamples;
  result.labels.assign(data.begin(), data.begin() + batch);
  result.images.assign(images, images + batch * image);
  return result;
}

}  // namespace onednn_peer
