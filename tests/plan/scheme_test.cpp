#include "sparse_update/scheme.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include "graph/ir/error.h"
#include "sparse_update/layers.h"
#include "tests/plan/support.h"

namespace attune::test {
namespace {

Graph forward() { return forward_graph(convnet(), CompileOptions(), 1); }

// A scheme file that goes away.
class SchemeFile {
 public:
  explicit SchemeFile(const std::string& json)
      : path_((std::filesystem::temp_directory_path() /
               ("attune_scheme_" + std::to_string(::getpid()) + ".json"))
                  .string()) {
    std::ofstream(path_) << json;
  }
  ~SchemeFile() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Scheme parse(const std::string& json) { return parse_scheme(SchemeFile(json).path(), forward()); }

std::vector<std::string> names_of(const Scheme& scheme) {
  std::vector<std::string> names;
  for (const TrainedSlice& slice : scheme.slices) names.push_back(slice.parameter);
  std::sort(names.begin(), names.end());
  return names;
}
using Names = std::vector<std::string>;

TEST_CASE("layers are counted in the order of execution, the classifier last") {
  const Graph graph = forward();
  const auto layers = find_layers(graph);
  REQUIRE(layers.size() == 4);
  const auto axes = [&](size_t i) {
    return std::pair(layers[i].input_axis, layers[i].output_axis);
  };
  CHECK(axes(0) == std::pair(3, 0));  // conv2d
  CHECK(axes(1) == std::pair(2, 2));  // depthwise
  CHECK(axes(3) == std::pair(1, 0));  // linear
  CHECK(graph.value(layers[1].bias).origin.tensor == "depthwise_bn.beta");
  REQUIRE(layers[1].others.size() == 1);
  CHECK(graph.value(layers[1].others[0]).origin.tensor == "depthwise_bn.gamma");
  CHECK(graph.value(layers[3].bias).origin.tensor == "fc.bias");
  CHECK(layers[3].others.empty());
}

TEST_CASE("schemes by name") {
  const Graph graph = forward();
  CHECK(names_of(parse_scheme("head", graph)) == Names{"fc.bias", "fc.weight"});
  CHECK(names_of(parse_scheme("last:0", graph)) == Names{"fc.bias", "fc.weight"});
  CHECK(names_of(parse_scheme("bias:2", graph)) ==
        Names{"depthwise_bn.beta", "fc.bias", "fc.weight", "project_bn.beta"});
  CHECK(names_of(parse_scheme("last:1", graph)) ==
        Names{"fc.bias", "fc.weight", "project.weight", "project_bn.beta", "project_bn.gamma"});
  CHECK(parse_scheme("full", graph).slices.size() == 11);
  for (const TrainedSlice& slice : parse_scheme("full", graph).slices) {
    CHECK(slice.axis == -1);
    CHECK(!slice.parameter.ends_with("mean"));
    CHECK(!slice.parameter.ends_with("var"));
  }
}

TEST_CASE("schemes from files") {
  CHECK(names_of(parse("{}")) == Names{"fc.bias", "fc.weight"});
  CHECK(names_of(parse(R"({"bias_last": 1})")) == Names{"fc.bias", "fc.weight", "project_bn.beta"});
  CHECK(parse(R"({"weights_last": 3})").slices == parse_scheme("last:3", forward()).slices);
  CHECK(parse_scheme(R"({"weights_last": 3})", forward()).slices ==
        parse_scheme("last:3", forward()).slices);
  CHECK(names_of(parse(R"({"head": false, "layers": [{"layer": 0}]})")) == Names{"stem.weight"});

  SUBCASE("channels by number are sorted") {
    const Scheme scheme = parse(
        R"({"head": false, "parameters": [{"name": "project.weight", "input_channels": [4, 0]}]})");
    REQUIRE(scheme.slices.size() == 1);
    CHECK(scheme.slices[0].channels == std::vector<int64_t>{0, 4});
    CHECK(scheme.slices[0].axis == 3);
    CHECK(scheme.slices[0].input_channels);
  }
  SUBCASE("a ratio keeps the strongest channels, at least one") {
    for (const auto& [ratio, count] : {std::pair{"0.5", 3}, {"0.01", 1}, {"0.4", 2}}) {
      const Scheme scheme = parse(fmt::format(
          R"({{"head": false, "layers": [{{"layer": 2, "output_channels": {}}}]}})", ratio));
      REQUIRE(scheme.slices.size() == 1);
      CHECK(scheme.slices[0].channels.size() == static_cast<size_t>(count));
      CHECK(scheme.slices[0].axis == 0);
      // The weakest chosen is no weaker than the strongest left out.
      const Graph graph = forward();
      const Value& weight = graph.value(find_layers(graph)[2].weight);
      double chosen = 1e30, left = 0;
      for (int64_t o = 0; o < 6; ++o) {
        double norm = 0;
        for (int64_t i = 0; i < 6; ++i)
          norm += std::pow(weight.data->reals()[static_cast<size_t>(o * 6 + i)], 2);
        const auto& channels = scheme.slices[0].channels;
        if (std::find(channels.begin(), channels.end(), o) != channels.end())
          chosen = std::min(chosen, norm);
        else
          left = std::max(left, norm);
      }
      CHECK(chosen >= left);
    }
  }
  SUBCASE("all channels are the whole parameter") {
    for (const char* all : {"1.0", "1", "[0, 1, 2, 3, 4, 5]"}) {
      const Scheme scheme = parse(fmt::format(
          R"({{"head": false, "layers": [{{"layer": 1, "output_channels": {}}}]}})", all));
      REQUIRE(scheme.slices.size() == 1);
      CHECK(scheme.slices[0].axis == -1);
    }
  }
}

TEST_CASE("a resolved scheme reads back as itself") {
  const Graph graph = forward();
  for (
      const char* json :
      {"{}", R"({"bias_last": 3})",
       R"({"head": false, "layers": [{"layer": 2, "input_channels": 0.5},
                                      {"layer": 1, "output_channels": [2]},
                                      {"layer": 3, "input_channels": [0, 5]}]})",
       R"({"parameters": [{"name": "stem.weight", "output_channels": 0.3}, {"name": "fc.bias"}]})"}) {
    const Scheme scheme = parse(json);
    CHECK(parse(scheme.json()).slices == scheme.slices);
  }
  const Scheme full = parse_scheme("full", graph);
  CHECK(parse(full.json()).slices == full.slices);
}

TEST_CASE("bad schemes are refused with the place and what is wrong there") {
  const Graph graph = forward();
  const std::pair<const char*, const char*> kNamed[] = {{"", "is neither full"},
                                                        {"none", "is neither full"},
                                                        {"last:", "no number of layers"},
                                                        {"last:x", "no number"},
                                                        {"last:-1", "no number"},
                                                        {"bias:1.5", "no number"},
                                                        {"last:4", "has 3 before"},
                                                        {"bias:99", "has 3 before"},
                                                        {"/nowhere.json", "/nowhere.json"},
                                                        {"{\"head\": 1}", "not true or false"},
                                                        {"{\"head\"", "is not JSON"},
                                                        {"last:99999999999999999999", "no number"}};
  for (const auto& [spec, message] : kNamed) {
    CAPTURE(std::string(spec));
    CHECK(contains(error_of([&] { parse_scheme(spec, graph); }), message));
  }
  const std::pair<const char*, const char*> kFiles[] = {
      {"", "is not JSON"},
      {"{", "is not JSON"},
      {"[]", "not an object"},
      {"3", "not an object"},
      {R"({"haed": true})", "unknown key 'haed'"},
      {R"({"x\u0000y": 1})", "unknown key 'x?y'"},
      {R"({"bias_last": 1, "bias_last": 2})", "gives 'bias_last' twice"},
      {R"({"layers": [{"layer": 0}, {"layer": 1, "layer": 1}]})", "gives 'layer' twice"},
      {R"({"head": "yes"})", "head is \"yes\", not true or false"},
      {R"({"head": false})", "trains nothing"},
      {R"({"bias_last": 4})", "has 3 before"},
      {R"({"bias_last": -1})", "-1"},
      {R"({"bias_last": 1.5})", "bias_last is 1.5"},
      {R"({"weights_last": true})", "weights_last is true"},
      {R"({"layers": {}})", "layers is not a list"},
      {R"({"parameters": 3})", "parameters is not a list"},
      {R"({"layers": [3]})", "not an object"},
      {R"({"layers": [{"layer": 4}]})", "layer 4 is not in 0 .. 3"},
      {R"({"layers": [{"layer": -1}]})", "layer -1"},
      {R"({"layers": [{"layer": 1.5}]})", "layer is 1.5"},
      {R"({"layers": [{}]})", "layer"},
      {R"({"layers": [{"layer": 0, "channels": 1}]})", "unknown key 'channels'"},
      {R"({"layers": [{"layer": 0, "input_channels": 0}]})", "ratio 0"},
      {R"({"layers": [{"layer": 0, "input_channels": 1.5}]})", "ratio 1.5"},
      {R"({"layers": [{"layer": 0, "input_channels": -0.5}]})", "ratio"},
      {R"({"layers": [{"layer": 0, "input_channels": "half"}]})", "not \"half\""},
      {R"({"layers": [{"layer": 0, "input_channels": []}]})", "empty"},
      {R"({"layers": [{"layer": 0, "input_channels": [3]}]})", "channel 3 is not in 0 .. 2"},
      {R"({"layers": [{"layer": 0, "input_channels": [-1]}]})", "channel -1"},
      {R"({"layers": [{"layer": 0, "input_channels": [1, 1]}]})", "twice"},
      {R"({"layers": [{"layer": 0, "input_channels": [0.5]}]})", "channel 0.5"},
      {R"({"layers": [{"layer": 0, "input_channels": [0], "output_channels": [0]}]})", "both"},
      {R"({"layers": [{"layer": 0, "output_channels": [0]}, {"layer": 0, "output_channels": [1]}]})",
       "layer 0 is listed twice"},
      {R"({"parameters": [{"name": "fc.bias"}, {"name": "fc.bias"}]})", "is listed twice"},
      {R"({"parameters": [{"name": "nothing"}]})", "no parameter 'nothing'"},
      {R"({"parameters": [{"name": "stem_bn.mean"}]})", "no parameter 'stem_bn.mean'"},
      {R"({"parameters": [{"name": 3}]})", "name is 3, not a text"},
      {R"({"parameters": [{}]})", "has no name"},
      {R"({"layers": [{"output_channels": 1}]})", "has no layer"},
      {R"({"layers": [{"layer": 18446744073709551615}]})", "layer is 18446744073709551615"},
      {R"({"layers": [{"layer": 1e999}]})", "number that is too large"},
      {R"({"parameters": [{"name": "fc.bias", "output_channels": [0]}]})", "no layer's weight"}};
  for (const auto& [json, message] : kFiles) {
    CAPTURE(std::string(json));
    const std::string error = error_of([&] { parse(json); });
    CHECK(!error.empty());
    CHECK(contains(error, message));
    CHECK(contains(error, "attune_scheme_"));
  }
}

TEST_CASE("hostile scheme files end in a short message, not in a stack overflow") {
  const auto nested = [](const std::string& open, const std::string& close) {
    std::string text;
    for (int i = 0; i < 200000; ++i) text += open;
    text += "1";
    for (int i = 0; i < 200000; ++i) text += close;
    return text;
  };
  const std::string many(100000, 'n'), deep = nested("[", "]"), objects = nested("{\"a\":", "}");
  std::string zeros = "0";
  for (int i = 0; i < 100000; ++i) zeros += ",0";
  const std::pair<std::string, const char*> kFiles[] = {
      {deep, "nested deeper"},
      {R"({"head": )" + deep + "}", "nested deeper"},
      {R"({"layers": [{"layer": 0, "input_channels": )" + objects + "}]}", "nested deeper"},
      {std::string(200000, '['), "nested deeper"},
      {"{\"" + many + "\": 1}", "unknown key 'nnn"},
      {R"({"parameters": [{"name": ")" + many + R"("}]})", "no parameter 'nnn"},
      {R"({"layers": [{"layer": 0, "input_channels": ")" + many + R"("}]})", "not \"nnn"},
      {R"({"bias_last": [)" + zeros + "]}", "bias_last is a list of 100001 elements"}};
  for (const auto& [json, message] : kFiles) {
    const std::string error = error_of([&] { parse(json); });
    CHECK(contains(error, message));
    CHECK(error.size() < 1000);
  }
  CHECK(contains(error_of([] { parse_scheme("/", forward()); }), "is neither full"));
}

}  // namespace
}  // namespace attune::test
