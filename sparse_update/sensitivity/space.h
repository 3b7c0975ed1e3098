#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "graph/ir/graph.h"

namespace attune {

// A share of the input channels of one layer's weight.
struct WeightOption {
  double ratio = 1;               // 1, 1/2, 1/4 or 1/8
  std::vector<int64_t> channels;  // those trained, increasing; all of them where the ratio is 1
};

// A layer before the classifier, and the ways to train its weight.
struct SpaceLayer {
  std::string name;
  std::string weight;               // the model's tensor
  std::vector<std::string> biases;  // the same; its own and its norms'
  int input_axis = 0;               // of the weight in our layout; -1: none
  int64_t input_channels = 0;
  std::vector<WeightOption> options;  // the smallest share first; empty: the weight stays frozen
  // What a block begins with: a pointwise convolution to more channels, attention's projections of
  // its input, the first of a feed-forward pair.
  bool expands = false;
};

// Everything that a search may choose: the classifier always, the biases of the last k layers, and
// of each of these layers a share of the weight. As in "On-Device Training Under 256KB Memory"
// (arXiv 2206.15472), section 3.2.
struct SearchSpace {
  std::vector<SpaceLayer> layers;  // in the order of execution
  // Channels are listed one by one in schemes; otherwise a ratio stands for those of largest norm.
  bool lists_channels = false;

  int depth() const { return static_cast<int>(layers.size()); }
};

// The space of a forward graph: channels are those of largest L2 norm, as parse_scheme chooses
// them. Shares that would be the same channels are there once; weights used by several layers
// belong to the first.
SearchSpace search_space(const Graph& forward);

// Chooses the channels anew, by the largest score: scores[layer][channel].
void rank_channels(SearchSpace& space, const std::vector<std::vector<double>>& scores);

// A choice.
struct SchemePoint {
  int bias_last = 0;
  std::vector<int> options;  // by layer: index into its options, or -1: frozen

  bool operator==(const SchemePoint&) const = default;
};

SchemePoint frozen_point(const SearchSpace& space);
// Every choice by itself: the last k biases, k = 0 .. depth, then every option of every layer.
// `deep`: these with the biases of all layers behind, as the backward pass goes there.
std::vector<SchemePoint> single_choices(const SearchSpace& space, bool deep);

// The scheme as parse_scheme reads it.
std::string scheme_json(const SearchSpace& space, const SchemePoint& point);
// For people: "biases of the last 12 layers, block3.conv 1/4, block4.conv".
std::string scheme_text(const SearchSpace& space, const SchemePoint& point);
std::string ratio_text(double ratio);

}  // namespace attune
