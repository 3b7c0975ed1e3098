#include "sparse_update/layers.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "graph/ir/error.h"
#include "sparse_update/glob.h"
#include "sparse_update/layer_names.h"
#include "tests/plan/support.h"
#include "tests/support/onnx_builder.h"
#include "tests/support/transformer.h"

namespace attune::test {
namespace {

using Names = std::vector<std::string>;

Graph forward_of(const Model& model) { return forward_graph(model, CompileOptions(), 1); }

Names layer_names(const Graph& graph) {
  Names names;
  for (const Layer& layer : find_layers(graph)) names.push_back(layer.name);
  return names;
}

const Layer& layer_of(const std::vector<Layer>& layers, const std::string& name) {
  const auto found = std::find_if(layers.begin(), layers.end(),
                                  [&](const Layer& layer) { return layer.name == name; });
  REQUIRE(found != layers.end());
  return *found;
}

Names tensors(const Graph& graph, const std::vector<ValueId>& values) {
  Names names;
  for (ValueId id : values) names.push_back(graph.value(id).origin.tensor);
  return names;
}

// What a scheme trains, by the names of layers: "query.weight".
std::set<std::string> trained_by_layer(const Graph& graph, const std::string& spec) {
  std::set<std::string> trained;
  std::set<std::string> parameters;
  for (const TrainedSlice& slice : parse_scheme(spec, graph).slices)
    parameters.insert(slice.parameter);
  for (const Layer& layer : find_layers(graph)) {
    const auto add = [&](ValueId id, const std::string& name) {
      if (id != kNone && parameters.erase(graph.value(id).origin.tensor) > 0) trained.insert(name);
    };
    add(layer.weight, layer.name + ".weight");
    add(layer.bias, layer.name + ".bias");
  }
  trained.insert(parameters.begin(), parameters.end());
  return trained;
}

// What the pattern means, as it is defined.
bool means(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  const std::string_view rest = pattern.substr(1);
  if (pattern[0] == '*')
    return means(rest, name) || (!name.empty() && means(pattern, name.substr(1)));
  if (pattern.starts_with("{a,bb}"))
    return (name.starts_with("a") && means(pattern.substr(6), name.substr(1))) ||
           (name.starts_with("bb") && means(pattern.substr(6), name.substr(2)));
  if (pattern.starts_with("[3-12]")) {
    const size_t digits = std::min(name.find_first_not_of("0123456789"), name.size());
    if (digits == 0 || digits > 9) return false;
    const int number = std::stoi(std::string(name.substr(0, digits)));
    return number >= 3 && number <= 12 && means(pattern.substr(6), name.substr(digits));
  }
  return !name.empty() && (pattern[0] == '?' || pattern[0] == name[0]) &&
         means(rest, name.substr(1));
}

}  // namespace

TEST_CASE("a transformer's layers bear the names of its modules, whichever way it was exported") {
  for (const Exporter exporter : {Exporter::torchscript, Exporter::dynamo}) {
    const Graph bert = forward_of(transformer(Family::bert, exporter));
    Names expected = {"bert.embeddings.word_embeddings"};
    for (const char* block : {"0", "1"})
      for (const char* layer :
           {"attention.self.query", "attention.self.key", "attention.self.value",
            "attention.output.dense", "intermediate.dense", "output.dense"})
        expected.push_back(std::string("bert.encoder.layer.") + block + "." + layer);
    expected.push_back("bert.pooler.dense");
    expected.push_back("classifier");
    Names found = layer_names(bert);
    CHECK(std::set<std::string>(found.begin(), found.end()) ==
          std::set<std::string>(expected.begin(), expected.end()));
    CHECK(found.size() == expected.size());
    CHECK(found.back() == "classifier");

    const std::vector<Layer> layers = find_layers(bert);
    const Layer& inner = layer_of(layers, "bert.encoder.layer.1.intermediate.dense");
    CHECK(inner.op == Op::linear);
    CHECK(inner.block == "bert.encoder.layer.1");
    CHECK(bert.shape(inner.weight)[inner.input_axis] == 16);
    CHECK(bert.shape(inner.weight)[inner.output_axis] == 32);
    CHECK(tensors(bert, inner.biases).front() == "bert.encoder.layer.1.intermediate.dense.bias");
    CHECK(layer_of(layers, "bert.pooler.dense").block.empty());

    // Without biases, the weights have no name of their own at all.
    const std::vector<Layer> llama = find_layers(forward_of(transformer(Family::llama, exporter)));
    CHECK(layer_of(llama, "model.layers.1.mlp.gate_proj").block == "model.layers.1");
    CHECK(layer_of(llama, "model.layers.0.self_attn.q_proj").bias == kNone);
    CHECK(llama.back().name == "score");
  }
}

TEST_CASE("what is no layer's weight belongs to the layer whose name is nearer") {
  const Graph bert = forward_of(transformer(Family::bert, Exporter::torchscript));
  const std::vector<Layer> layers = find_layers(bert);
  CHECK(tensors(bert, layer_of(layers, "bert.encoder.layer.0.output.dense").biases) ==
        Names{"bert.encoder.layer.0.output.dense.bias",
              "bert.encoder.layer.0.output.LayerNorm.bias"});
  CHECK(tensors(bert, layer_of(layers, "bert.encoder.layer.0.output.dense").others) ==
        Names{"bert.encoder.layer.0.output.LayerNorm.weight"});

  const Graph llama = forward_of(transformer(Family::llama, Exporter::dynamo));
  std::vector<Layer> of_llama = find_layers(llama);
  Names first;
  for (const Layer& layer : of_llama)
    if (layer.block == "model.layers.1")
      for (const std::string& name : tensors(llama, layer.others)) first.push_back(name);
  CHECK(first == Names{"model.layers.1.input_layernorm.weight",
                       "model.layers.1.post_attention_layernorm.weight", "model.norm.weight"});

  // Every parameter that the output depends on is somebody's.
  for (const Graph* graph : {&bert, &llama}) {
    std::set<ValueId> owned;
    for (const Layer& layer : find_layers(*graph))
      for (ValueId id : layer.parameters()) CHECK(owned.insert(id).second);
    CHECK(owned.size() == parse_scheme("full", *graph).slices.size());
  }
}

TEST_CASE("a weight is one layer, however often it is used, and the last one used is the head") {
  OnnxBuilder net;
  net.input("x", {-1, 4}).output("y");
  net.tensor("shared.weight", {4, 4}).tensor("own.weight", {4, 4});
  net.node("MatMul", {"x", "shared.weight"}, {"a"});
  net.node("MatMul", {"a", "own.weight"}, {"b"});
  net.node("MatMul", {"b", "shared.weight"}, {"y"});
  CHECK(layer_names(forward_of(net.model())) == Names{"own", "shared"});
}

TEST_CASE("a weight is seen through transposes, reshapes and slices of it") {
  // As recurrent nets that are computed step by step have them: gates apart, for every step.
  OnnxBuilder net;
  net.input("x", {-1, 4}).output("y");
  net.tensor("W", {1, 6, 4}, 0.1f, 0.03f).tensor("R", {1, 6, 3}, 0.2f, 0.02f);
  net.tensor("head.weight", {3, 2});
  net.ints("axes", {0}).ints("zero", {0}).ints("three", {3}).ints("one", {1});
  net.node("Squeeze", {"W", "axes"}, {"W2"});
  net.node("Transpose", {"W2"}, {"Wt"});
  set_ints(*net.proto().mutable_graph()->mutable_node(1), "perm", {1, 0});
  net.node("Slice", {"Wt", "zero", "three", "one"}, {"Wi"});
  net.node("MatMul", {"x", "Wi"}, {"h"});
  net.node("Squeeze", {"R", "axes"}, {"R2"});
  net.node("Transpose", {"R2"}, {"Rt"});
  set_ints(*net.proto().mutable_graph()->mutable_node(5), "perm", {1, 0});
  net.node("Slice", {"Rt", "zero", "three", "one"}, {"Ri"});
  net.node("MatMul", {"h", "Ri"}, {"h1"});
  net.node("MatMul", {"h1", "Ri"}, {"h2"});
  net.node("MatMul", {"h2", "head.weight"}, {"y"});
  const std::string why = error_of([&] { forward_of(net.model()); });
  CAPTURE(why);
  REQUIRE(why.empty());
  const Graph graph = forward_of(net.model());
  const std::vector<Layer> layers = find_layers(graph);
  REQUIRE(layers.size() == 3);
  CHECK(layers[0].name == "W");
  CHECK(layers[1].name == "R");
  CHECK(graph.shape(layers[0].weight)[layers[0].input_axis] == 4);
  CHECK(graph.shape(layers[1].weight)[layers[1].input_axis] == 3);
}

TEST_CASE("blocks are what repeats, and last:Kblocks counts them") {
  const Graph graph = forward_of(transformer(Family::bert, Exporter::dynamo, {.blocks = 3}));
  const auto last = trained_by_layer(graph, "last:1blocks");
  CHECK(last.contains("bert.encoder.layer.2.attention.self.query.weight"));
  CHECK(last.contains("bert.encoder.layer.2.attention.output.LayerNorm.weight"));
  CHECK(last.contains("bert.pooler.dense.weight"));
  CHECK(!last.contains("bert.encoder.layer.1.output.dense.weight"));
  CHECK(trained_by_layer(graph, R"({"weights_last": "1 block"})") == last);
  CHECK(trained_by_layer(graph, "last:7") == last);  // six layers and the pooler
  CHECK(trained_by_layer(graph, "bias:2blocks") == trained_by_layer(graph, "bias:13"));
  CHECK(trained_by_layer(graph, "last:0blocks") == trained_by_layer(graph, "head"));
  CHECK(contains(error_of([&] { parse_scheme("last:4blocks", graph); }),
                 "the model has 3: bert.encoder.layer.0 .. bert.encoder.layer.2"));
  CHECK(contains(error_of([&] { parse_scheme("last:4bricks", graph); }), "'4bricks' is no number"));
  // Where nothing repeats, layers are blocks.
  const Graph cnn = forward_of(convnet());
  CHECK(parse_scheme("bias:2blocks", cnn).slices == parse_scheme("bias:2", cnn).slices);
}

TEST_CASE("blocks of the usual names") {
  const auto blocks_of = [](const Names& names) {
    OnnxBuilder net;
    net.input("x0", {-1, 4}).output("x" + std::to_string(names.size()));
    for (size_t i = 0; i < names.size(); ++i) {
      net.tensor(names[i] + ".weight", {4, 4}, 0.01f * static_cast<float>(i));
      net.node("MatMul", {"x" + std::to_string(i), names[i] + ".weight"},
               {"x" + std::to_string(i + 1)});
    }
    Names blocks;
    for (const Layer& layer : find_layers(forward_of(net.model()))) blocks.push_back(layer.block);
    return blocks;
  };
  // Stages of blocks (Swin), blocks of parts that differ (T5), counted by a name (ViT).
  CHECK(blocks_of({"layers.0.blocks.0.qkv", "layers.0.blocks.0.fc", "layers.0.blocks.1.qkv",
                   "layers.0.blocks.1.fc", "layers.1.blocks.0.qkv", "layers.1.blocks.0.fc",
                   "layers.1.blocks.1.qkv", "layers.1.blocks.1.fc"}) ==
        Names{"layers.0.blocks.0", "layers.0.blocks.0", "layers.0.blocks.1", "layers.0.blocks.1",
              "layers.1.blocks.0", "layers.1.blocks.0", "layers.1.blocks.1", "layers.1.blocks.1"});
  CHECK(blocks_of({"block.0.layer.0.q", "block.0.layer.0.k", "block.0.layer.1.wi",
                   "block.0.layer.1.wo", "block.1.layer.0.q", "block.1.layer.0.k",
                   "block.1.layer.1.wi", "block.1.layer.1.wo"}) ==
        Names{"block.0", "block.0", "block.0", "block.0", "block.1", "block.1", "block.1",
              "block.1"});
  CHECK(blocks_of({"conv_proj", "layers.layer_0.mlp.0", "layers.layer_0.mlp.3",
                   "layers.layer_1.mlp.0", "layers.layer_1.mlp.3", "head"}) ==
        Names{"", "layers.layer_0", "layers.layer_0", "layers.layer_1", "layers.layer_1", ""});
  CHECK(blocks_of({"net.0", "net.2", "net.4"}) == Names{"", "", ""});
}

TEST_CASE("module paths of node names") {
  CHECK(module_path("/bert/encoder/layer.0/query/MatMul") == "bert.encoder.layer.0.query");
  CHECK(module_path("/features/features.0/features.0.1/Conv") == "features.0.1");
  CHECK(module_path("/m.encoder.layer.0/node_MatMul_36/linear") == "m.encoder.layer.0");
  CHECK(module_path("/MatMul") == "");
  CHECK(module_path("conv1") == "");
}

TEST_CASE("patterns of names") {
  CHECK(matches("*.query", "encoder.layer.0.query"));
  CHECK(!matches("*.query", "encoder.query.bias"));
  CHECK(matches("*layer.[8-11].*query*", "encoder.layer.10.attention.query.weight"));
  CHECK(!matches("*layer.[8-11].*", "encoder.layer.7.query"));
  CHECK(!matches("*layer.[1-1].*", "encoder.layer.11.query"));
  CHECK(matches("{q,k,v}_proj", "k_proj"));
  CHECK(!matches("{q,k,v}_proj", "o_proj"));
  CHECK(matches("fc?", "fc1"));
  CHECK(!matches("fc?", "fc"));
  CHECK(matches("x[0]", "x[0]"));
  CHECK(matches("x{0", "x{0"));
  CHECK(matches("", ""));
  std::string stars, letters(1000, 'a');
  for (int i = 0; i < 1000; ++i) stars += "*a";
  CHECK(matches(stars, letters));
  CHECK(!matches(stars.append("b"), letters));  // at once, not after every way to match
  CHECK(matches("[9223372036854775807-9223372036854775807]", "9223372036854775807"));
  CHECK(!matches("[0-9223372036854775807]", "9223372036854775808"));
  CHECK(matches("x[7-7]y", "x" + std::string(100, '0') + "7y"));
  CHECK(!matches("x[7-7]y", "x7" + std::string(100, '0') + "y"));
}

TEST_CASE("patterns mean what they are defined to, wherever a word of places ends") {
  const std::vector<std::string> parts = {"*", "?", "a", "b", "{a,bb}", "[3-12]", "1", "*"};
  uint32_t seed = 1;
  const auto below = [&](size_t n) { return (seed = seed * 1664525 + 1013904223) / 65536 % n; };
  int matched = 0;
  for (int i = 0; i < 40000; ++i) {
    // As it is made, a name comes near to what the pattern means.
    const std::string start(i % 3 == 0 ? 58 + below(12) : below(3), 'a');
    std::string pattern = start, name = start;
    for (size_t n = below(6); n > 0; --n) {
      const std::string& part = parts[below(parts.size())];
      pattern += part;
      const std::vector<std::string> texts = {"a", "bb", "b", "1", "12", "03", "ab3", "", "13"};
      name += below(2) == 0 && part.size() == 1 && part != "*" && part != "?"
                  ? part
                  : texts[below(texts.size())];
    }
    CAPTURE(pattern);
    CAPTURE(name);
    const bool meant = means(pattern, name);
    REQUIRE(matches(pattern, name) == meant);
    matched += meant;
  }
  CHECK(matched > 1000);
}

TEST_CASE("a pattern too long to be meant is refused, and a name may be as long as it is") {
  const Graph graph = forward_of(transformer(Family::bert, Exporter::torchscript));
  const auto error = [&](const std::string& scheme) {
    return error_of([&] { parse_scheme(scheme, graph); });
  };
  CHECK(contains(error("names:"), "no parameter ''"));  // and not what no layer names
  const std::string most = "*" + std::string(4095, 'q');
  for (const std::string start :
       {"names:", R"({"layers": [{"name": ")", R"({"parameters": [{"name": ")"}) {
    const std::string end = start == "names:" ? "" : "\"}]}";
    CHECK(contains(error(start + most + end), " '*qqq"));
    CHECK_FALSE(contains(error(start + most + end), "at most"));
    CHECK(contains(error(start + most + "q" + end), "'*qqq"));
    CHECK(contains(error(start + most + "q" + end),
                   "has 4097 bytes; give a pattern of at most 4096"));
  }
}

TEST_CASE("names choose layers and parameters") {
  const Graph graph = forward_of(transformer(Family::bert, Exporter::torchscript));
  const std::set<std::string> head = trained_by_layer(graph, "head");
  const auto with_head = [&](std::set<std::string> names) {
    names.insert(head.begin(), head.end());
    return names;
  };
  const std::string in = "bert.encoder.layer.";
  CHECK(trained_by_layer(graph, "names:*.layer.[1-1].*.{query,key}.weight,*.pooler.*.bias") ==
        with_head({in + "1.attention.self.query.weight", in + "1.attention.self.key.weight",
                   "bert.pooler.dense.bias"}));
  CHECK(trained_by_layer(graph, R"({"layers": [{"name": "*.value", "of_last": "1 block"}]})") ==
        with_head({in + "1.attention.self.value.weight"}));
  CHECK(trained_by_layer(graph, R"({"parameters": [{"name": "*.output.LayerNorm.bias"}]})") ==
        with_head({in + "0.attention.output.LayerNorm.bias", in + "0.output.LayerNorm.bias",
                   in + "1.attention.output.LayerNorm.bias", in + "1.output.LayerNorm.bias"}));
  const Scheme half = parse_scheme(
      R"({"head": false, "layers": [{"name": "*.intermediate.dense", "input_channels": 0.5}]})",
      graph);
  REQUIRE(half.slices.size() == 2);
  for (const TrainedSlice& slice : half.slices) CHECK(slice.channels.size() == 8);
  CHECK(parse_scheme(half.json(), graph).slices == half.slices);
  const std::pair<const char*, const char*> kWrong[] = {
      {"names:*.qeury.*", "no parameter '*.qeury.*'"},
      {R"({"layers": [{"name": "*.qeury"}]})", "none of the 14 layers that may be is called"},
      {R"({"layers": [{"name": 3}]})", "a layer's name is 3"},
      {R"({"layers": [{"name": "*", "layer": 1}]})", "both a layer and a name"},
      {R"({"layers": [{"layer": 1, "of_last": 2}]})", "of_last goes with a name"},
      {R"({"layers": [{"name": "*.query"}, {"name": "*.{query,key}"}]})", "is listed twice"}};
  for (const auto& [spec, message] : kWrong)
    CHECK(contains(error_of([&] { parse_scheme(spec, graph); }), message));
}

TEST_CASE("published schemes of transformers train what PockEngine does") {
  const auto trained = [](Family family, Exporter exporter, const char* file, int64_t blocks) {
    const OnnxModel model = transformer(family, exporter, {.blocks = blocks});
    CompileOptions options;
    options.scheme = fmt::format("{}/examples/schemes/{}", ATTUNE_SOURCE_DIR, file);
    options.batch = 2;
    const Compiled compiled = compile(model, options);
    CHECK(!compiled.plan.empty());
    return trained_by_layer(forward_of(model), options.scheme);
  };
  const auto count = [](const std::set<std::string>& names, const std::string& pattern) {
    return std::count_if(names.begin(), names.end(),
                         [&](const std::string& name) { return matches(pattern, name); });
  };
  for (const Exporter exporter : {Exporter::torchscript, Exporter::dynamo}) {
    const auto bert = trained(Family::bert, exporter, "bert.json", 7);
    CHECK(count(bert, "*.layer.[3-6].attention.self.*.weight") == 12);
    CHECK(count(bert, "*.layer.[3-6].intermediate.dense.weight") == 4);
    CHECK(count(bert, "*.layer.[1-6].*.bias") == 6 * 8);
    CHECK(bert.size() == 12 + 4 + 48 + 1 + 2);  // the pooler's bias, the classifier

    const auto distilbert = trained(Family::distilbert, exporter, "distilbert.json", 6);
    CHECK(count(distilbert, "*.layer.[4-5].attention.{q,k,v}_lin.weight") == 6);
    CHECK(count(distilbert, "*.layer.[4-5].ffn.lin1.weight") == 2);
    CHECK(count(distilbert, "*.layer.[3-5].*.bias") == 3 * 8);
    CHECK(distilbert.size() == 6 + 2 + 24 + 1 + 2);

    const auto llama = trained(Family::llama, exporter, "llama.json", 6);
    CHECK(count(llama, "*.layers.[1-5].self_attn.{q,k,v}_proj.weight") == 15);
    CHECK(count(llama, "*.layers.[1-5].mlp.{gate,up}_proj.weight") == 10);
    CHECK(llama.size() == 26);
  }
}

}  // namespace attune::test
