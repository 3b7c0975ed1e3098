#include "sparse_update/sensitivity/space.h"

#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include "sparse_update/scheme.h"
#include "sparse_update/sensitivity/gains.h"
#include "tests/search/subjects.h"
#include "tests/support/transformer.h"

namespace attune::test {
namespace {

Graph forward() { return forward_graph(small_net(), options_for("head"), 1); }

}  // namespace

TEST_CASE("the space has every layer before the classifier and its different shares") {
  const SearchSpace space = search_space(forward());
  REQUIRE(space.depth() == 4);
  CHECK(space.layers[1].weight == "expand.weight");
  CHECK(space.layers[1].biases == std::vector<std::string>{"expand.bias"});
  std::vector<std::vector<size_t>> sizes;  // of the channels; 0: all
  for (const SpaceLayer& layer : space.layers) {
    sizes.emplace_back();
    for (const WeightOption& option : layer.options) sizes.back().push_back(option.channels.size());
  }
  // Of three channels an eighth and a quarter are one.
  CHECK(sizes ==
        std::vector<std::vector<size_t>>{{1, 2, 0}, {1, 2, 4, 0}, {2, 4, 8, 0}, {2, 4, 8, 0}});
}

TEST_CASE("a point's scheme trains what the point says") {
  const Graph graph = forward();
  const SearchSpace space = search_space(graph);
  CHECK(parse_scheme(scheme_json(space, frozen_point(space)), graph).slices ==
        parse_scheme("head", graph).slices);
  SchemePoint point = frozen_point(space);
  point.bias_last = 2;
  CHECK(parse_scheme(scheme_json(space, point), graph).slices ==
        parse_scheme("bias:2", graph).slices);
  point.options[3] = 1;
  point.options[2] = 3;
  const Scheme scheme = parse_scheme(scheme_json(space, point), graph);
  REQUIRE(scheme.slices.size() == 6);
  for (const TrainedSlice& slice : scheme.slices) {
    if (slice.parameter == "project.weight")
      CHECK(slice.channels == space.layers[3].options[1].channels);
    else
      CHECK(slice.axis == -1);
  }
  CHECK(scheme_text(space, point).find("project 1/4") != std::string::npos);
}

TEST_CASE("channels can be chosen by a score") {
  const Graph graph = forward();
  SearchSpace space = search_space(graph);
  std::vector<std::vector<double>> scores;
  for (const SpaceLayer& layer : space.layers) {
    scores.emplace_back();
    for (int64_t c = 0; c < layer.input_channels; ++c)
      scores.back().push_back(static_cast<double>(c % 5));
  }
  rank_channels(space, scores);
  CHECK(space.layers[1].options[1].channels == std::vector<int64_t>{3, 4});
  CHECK(space.layers[3].options[1].channels == std::vector<int64_t>{3, 4, 9, 14});
  SchemePoint point = frozen_point(space);
  point.options[3] = 1;
  const Scheme scheme = parse_scheme(scheme_json(space, point), graph);
  REQUIRE(scheme.slices.front().parameter == "project.weight");
  CHECK(scheme.slices.front().channels == std::vector<int64_t>{3, 4, 9, 14});
}

TEST_CASE(
    "what a transformer's blocks begin with is attention's projections and the first of two") {
  for (const Family family : {Family::bert, Family::llama}) {
    const SearchSpace space = search_space(forward_graph(
        transformer(family, Exporter::torchscript, {.blocks = 1}), options_for("head"), 1));
    std::set<std::string> expanding;
    for (const SpaceLayer& layer : space.layers) {
      if (layer.expands) expanding.insert(layer.name.substr(layer.name.find(".0.") + 3));
      CHECK(layer.options.size() ==
            (layer.input_axis < 0 ? 1 : 4));  // a table of rows has no inputs
    }
    const std::set<std::string> of_bert = {"attention.self.query", "attention.self.key",
                                           "attention.self.value", "intermediate.dense"};
    const std::set<std::string> of_llama = {"self_attn.q_proj", "self_attn.k_proj",
                                            "self_attn.v_proj", "mlp.gate_proj", "mlp.up_proj"};
    CHECK(expanding == (family == Family::bert ? of_bert : of_llama));
  }
}

TEST_CASE("rank correlation is Spearman's, with shared ranks for ties") {
  CHECK(rank_correlation({1, 2, 3, 4}, {10, 20, 30, 1000}) == doctest::Approx(1));
  CHECK(rank_correlation({1, 2, 3, 4}, {4, 3, 2, 1}) == doctest::Approx(-1));
  // d = 1, 1, 0, 0 of n = 4: 1 - 6 * 2 / (4 * 15)
  CHECK(rank_correlation({1, 2, 3, 4}, {2, 1, 3, 4}) == doctest::Approx(0.8));
  // Ranks 0, 1.5, 1.5, 3 against 0, 1, 2, 3.
  CHECK(rank_correlation({1, 5, 5, 9}, {1, 2, 3, 4}) == doctest::Approx(4.5 / std::sqrt(4.5 * 5)));
  CHECK(rank_correlation({1, 1, 1}, {1, 2, 3}) == 0);
  CHECK(rank_correlation({-INFINITY, 0, 1}, {1, 2, 3}) == doctest::Approx(1));
  CHECK(rank_correlation({}, {}) == 0);
}

}  // namespace attune::test
