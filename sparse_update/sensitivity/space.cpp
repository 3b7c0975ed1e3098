#include "sparse_update/sensitivity/space.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "sparse_update/layers.h"
#include "sparse_update/scheme.h"

namespace attune {
namespace {

constexpr double kRatios[] = {0.125, 0.25, 0.5, 1};

const std::string& tensor_name(const Graph& graph, ValueId id) {
  return graph.value(id).origin.tensor;
}

// The channels that a scheme's ratio stands for.
std::vector<int64_t> strongest_channels(const Graph& graph, int layer, double ratio) {
  const std::string spec = fmt::format(
      R"({{"head": false, "layers": [{{"layer": {}, "input_channels": {}}}]}})", layer, ratio);
  return parse_scheme(spec, graph).slices.front().channels;
}

std::vector<WeightOption> options_of(const Graph& graph, const Layer& layer, int index) {
  if (layer.grouped || layer.input_axis < 0) return {{1, {}}};
  std::vector<WeightOption> options;
  for (double ratio : kRatios) {
    WeightOption option{ratio, {}};
    if (ratio < 1) {
      option.channels = strongest_channels(graph, index, ratio);
      if (option.channels.empty()) continue;  // all of them: the ratio 1
    }
    if (!options.empty() && options.back().channels.size() == option.channels.size()) continue;
    options.push_back(std::move(option));
  }
  return options;
}

bool expands(const Graph& graph, const Layer& layer) {
  if (layer.grouped || layer.input_axis < 0 || layer.output_axis < 0) return false;
  const Shape& weight = graph.shape(layer.weight);
  const int64_t inputs = weight[layer.input_axis], outputs = weight[layer.output_axis];
  if (weight.elements() != inputs * outputs) return false;
  if (layer.op == Op::linear) return !layer.joins && (outputs > inputs || !layer.block.empty());
  return layer.op == Op::conv2d && outputs > inputs;
}

}  // namespace

SearchSpace search_space(const Graph& forward) {
  SearchSpace space;
  const std::vector<Layer> layers = find_layers(forward);
  std::set<ValueId> seen;
  for (size_t i = 0; i + 1 < layers.size(); ++i) {
    const Layer& layer = layers[i];
    SpaceLayer made;
    made.name = layer.name;
    made.weight = tensor_name(forward, layer.weight);
    for (ValueId bias : layer.biases) made.biases.push_back(tensor_name(forward, bias));
    made.input_axis = layer.input_axis;
    made.input_channels = layer.input_axis < 0 ? 1 : forward.shape(layer.weight)[layer.input_axis];
    made.expands = expands(forward, layer);
    if (seen.insert(layer.weight).second && layer.weight != layers.back().weight)
      made.options = options_of(forward, layer, static_cast<int>(i));
    space.layers.push_back(std::move(made));
  }
  return space;
}

void rank_channels(SearchSpace& space, const std::vector<std::vector<double>>& scores) {
  space.lists_channels = true;
  for (size_t l = 0; l < space.layers.size(); ++l) {
    std::vector<int64_t> order(scores[l].size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return scores[l][static_cast<size_t>(a)] > scores[l][static_cast<size_t>(b)];
    });
    for (WeightOption& option : space.layers[l].options) {
      if (option.ratio == 1) continue;
      option.channels.assign(order.begin(), order.begin() + std::ssize(option.channels));
      std::sort(option.channels.begin(), option.channels.end());
    }
  }
}

SchemePoint frozen_point(const SearchSpace& space) {
  return {0, std::vector<int>(space.layers.size(), -1)};
}

std::vector<SchemePoint> single_choices(const SearchSpace& space, bool deep) {
  std::vector<SchemePoint> points;
  for (int k = 0; k <= space.depth(); ++k) {
    points.push_back(frozen_point(space));
    points.back().bias_last = k;
  }
  for (size_t l = 0; l < space.layers.size(); ++l)
    for (size_t o = 0; o < space.layers[l].options.size(); ++o) {
      points.push_back(points[deep ? space.layers.size() - l : 0]);
      points.back().options[l] = static_cast<int>(o);
    }
  return points;
}

std::string scheme_json(const SearchSpace& space, const SchemePoint& point) {
  nlohmann::ordered_json json;
  json["bias_last"] = point.bias_last;
  json["layers"] = nlohmann::ordered_json::array();
  for (size_t l = 0; l < space.layers.size(); ++l) {
    if (point.options[l] < 0) continue;
    const WeightOption& option = space.layers[l].options[static_cast<size_t>(point.options[l])];
    nlohmann::ordered_json entry = {{"layer", l}};
    if (option.ratio < 1) {
      if (space.lists_channels)
        entry["input_channels"] = option.channels;
      else
        entry["input_channels"] = option.ratio;
    }
    json["layers"].push_back(entry);
  }
  return json.dump();
}

std::string ratio_text(double ratio) {
  return ratio == 1 ? "1" : fmt::format("1/{}", std::lround(1 / ratio));
}

std::string scheme_text(const SearchSpace& space, const SchemePoint& point) {
  std::string text = "the classifier";
  if (point.bias_last > 0) text += fmt::format(", the last {} biases", point.bias_last);
  for (size_t l = 0; l < space.layers.size(); ++l) {
    if (point.options[l] < 0) continue;
    const double ratio = space.layers[l].options[static_cast<size_t>(point.options[l])].ratio;
    text += fmt::format(", {} {}", l, space.layers[l].name);
    if (ratio < 1) text += " " + ratio_text(ratio);
  }
  return text;
}

}  // namespace attune
