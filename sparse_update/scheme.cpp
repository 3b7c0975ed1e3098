#include "sparse_update/scheme.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "graph/ir/error.h"
#include "graph/rules/cut.h"
#include "sparse_update/json_file.h"
#include "sparse_update/layers.h"
#include "sparse_update/number_text.h"

namespace attune {
namespace {

using Json = nlohmann::json;

// Collects slices by parameter; the order of the model is restored at the end.
class SchemeBuilder {
 public:
  SchemeBuilder(const Graph& graph, std::string source)
      : graph_(graph), source_(std::move(source)), layers_(find_layers(graph)) {
    if (layers_.empty())
      throw_error("{}: the model has no convolution or linear layer to train", source_);
  }

  const std::vector<Layer>& layers() const { return layers_; }
  size_t before_head() const { return layers_.size() - 1; }

  void train(ValueId parameter) {
    if (parameter != kNone)
      slices_[parameter] = {graph_.value(parameter).origin.tensor, -1, {}, {}};
  }
  void train_layer(const Layer& layer) {
    for (ValueId p : {layer.weight, layer.own_bias, layer.gamma, layer.beta}) train(p);
  }
  void train_channels(ValueId parameter, int axis, bool input, std::vector<int64_t> channels) {
    slices_[parameter] = {graph_.value(parameter).origin.tensor, axis, input, std::move(channels)};
  }

  // The last `count` layers before the classifier.
  std::vector<Layer> last(int64_t count) const {
    // Who counts the layers of other outputs, too, gets all that this one has.
    if (count < 0 || count >= static_cast<int64_t>(layers_of_all_outputs()))
      fail("asks for the last {} layers, the model has {} before its classifier", count,
           before_head());
    count = std::min(count, static_cast<int64_t>(before_head()));
    return {layers_.end() - 1 - count, layers_.end() - 1};
  }

  ValueId find(const std::string& name) const {
    std::vector<std::string> known;
    for (size_t i = 0; i < graph_.values.size(); ++i) {
      const Value& value = graph_.values[i];
      if (value.role != Role::parameter) continue;
      if (value.origin.tensor == name) return static_cast<ValueId>(i);
      if (known.size() < 8) known.push_back(value.origin.tensor);
    }
    fail("the model has no parameter '{}'; it has {} ...", shown_name(name),
         fmt::join(known, ", "));
  }

  template <class... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw_error("scheme {}: {}", shown_name(source_),
                fmt::format(format, std::forward<Args>(args)...));
  }

  Scheme scheme() const {
    Scheme scheme;
    for (const auto& [id, slice] : slices_) scheme.slices.push_back(slice);
    if (scheme.slices.empty()) fail("trains nothing");
    return scheme;
  }

  // The channels of a parameter along `axis` whose values have the largest L2 norm.
  std::vector<int64_t> strongest(ValueId parameter, int axis, double ratio) const {
    const Value& value = graph_.value(parameter);
    const int64_t channels = value.shape[axis];
    const int64_t inner = value.shape.product(axis + 1, value.shape.rank);
    std::vector<double> norms(static_cast<size_t>(channels));
    value.data->each_block([&](size_t first, std::span<const double> block) {
      for (size_t i = 0; i < block.size(); ++i)
        norms[(first + i) / static_cast<size_t>(inner) % static_cast<size_t>(channels)] +=
            block[i] * block[i];
    });
    const int64_t keep =
        std::clamp<int64_t>(std::llround(ratio * static_cast<double>(channels)), 1, channels);
    std::vector<int64_t> order(static_cast<size_t>(channels));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return norms[static_cast<size_t>(a)] > norms[static_cast<size_t>(b)];
    });
    order.resize(static_cast<size_t>(keep));
    std::sort(order.begin(), order.end());
    return order;
  }

  int64_t channel_count(ValueId parameter, int axis) const { return graph_.shape(parameter)[axis]; }

 private:
  size_t layers_of_all_outputs() const {
    return static_cast<size_t>(
        std::count_if(graph_.nodes.begin(), graph_.nodes.end(), [&](const Node& node) {
          return weight_axes(node.op, 1) && graph_.value(node.inputs[1]).role == Role::parameter;
        }));
  }

  const Graph& graph_;
  std::string source_;
  std::vector<Layer> layers_;
  std::map<ValueId, TrainedSlice> slices_;
};

int64_t parse_count(const SchemeBuilder& builder, const std::string& text) {
  int64_t count = 0;
  if (!parse_number(text, &count) || count < 0) builder.fail("'{}' is no number of layers", text);
  return count;
}

// Reads "input_channels" or "output_channels" of one entry and adds the slice.
void add_entry(SchemeBuilder& builder, const Json& entry, ValueId parameter,
               const std::string& label) {
  const bool input = entry.contains("input_channels"), output = entry.contains("output_channels");
  if (input && output) builder.fail("{} gives both input_channels and output_channels", label);
  if (!input && !output) return builder.train(parameter);

  const auto layer = std::find_if(builder.layers().begin(), builder.layers().end(),
                                  [&](const Layer& l) { return l.weight == parameter; });
  if (layer == builder.layers().end())
    builder.fail("{} is no layer's weight; only weights have channels to choose", label);
  if (input && layer->grouped)
    builder.fail("{} belongs to a grouped convolution; choose its output_channels", label);
  const int axis = input ? layer->input_axis : layer->output_axis;
  const int64_t count = builder.channel_count(parameter, axis);
  const Json& given = entry.at(input ? "input_channels" : "output_channels");

  std::vector<int64_t> channels;
  if (given.is_number()) {
    const double ratio = given.get<double>();
    if (!(ratio > 0 && ratio <= 1)) builder.fail("{}: ratio {} is not in (0, 1]", label, ratio);
    channels = builder.strongest(parameter, axis, ratio);
  } else if (given.is_array()) {
    for (const Json& channel : given) {
      if (!channel.is_number_integer() || channel.get<int64_t>() < 0 ||
          channel.get<int64_t>() >= count)
        builder.fail("{}: channel {} is not in 0 .. {}", label, shown_json(channel), count - 1);
      channels.push_back(channel.get<int64_t>());
    }
    std::sort(channels.begin(), channels.end());
    if (std::adjacent_find(channels.begin(), channels.end()) != channels.end())
      builder.fail("{}: a channel is listed twice", label);
    if (channels.empty()) builder.fail("{}: the list of channels is empty", label);
  } else {
    builder.fail("{}: channels are a list of numbers or a ratio, not {}", label, shown_json(given));
  }
  if (static_cast<int64_t>(channels.size()) == count) return builder.train(parameter);
  builder.train_channels(parameter, axis, input, std::move(channels));
}

void check_keys(const SchemeBuilder& builder, const Json& object, const std::string& label,
                const std::set<std::string>& known) {
  if (!object.is_object()) builder.fail("{} is not an object", label);
  for (const auto& [key, value] : object.items())
    if (!known.contains(key))
      builder.fail("{} has the unknown key '{}'; known are {}", label, shown_name(key),
                   fmt::join(known, ", "));
}

// JSON's own conversion would take 1.5 for 1, and true as well.
int64_t integer(const SchemeBuilder& builder, const Json& object, const char* key) {
  if (!object.contains(key)) builder.fail("an entry has no {}", key);
  const Json& value = object.at(key);
  const bool fits = value.is_number_integer() &&
                    !(value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX);
  if (!fits) builder.fail("{} is {}, not a whole number", key, shown_json(value));
  return value.get<int64_t>();
}

int64_t count_or_zero(const SchemeBuilder& builder, const Json& object, const char* key) {
  return object.contains(key) ? integer(builder, object, key) : 0;
}

Json read_json(const SchemeBuilder& builder, const std::string& path) {
  std::error_code failure;
  if (!std::filesystem::is_regular_file(path, failure))
    builder.fail("is neither full, head, last:K, bias:K nor a file that can be read");
  return read_json_file(path, "scheme " + path);
}

void add_json(SchemeBuilder& builder, const Json& json) {
  check_keys(builder, json, "the file",
             {"head", "bias_last", "weights_last", "layers", "parameters"});
  const std::vector<Layer>& layers = builder.layers();
  if (json.contains("head") && !json.at("head").is_boolean())
    builder.fail("head is {}, not true or false", shown_json(json.at("head")));
  if (json.value("head", true)) builder.train_layer(layers.back());
  for (const Layer& layer : builder.last(count_or_zero(builder, json, "bias_last")))
    builder.train(layer.bias);
  for (const Layer& layer : builder.last(count_or_zero(builder, json, "weights_last")))
    builder.train_layer(layer);
  for (const char* key : {"layers", "parameters"})
    if (json.contains(key) && !json.at(key).is_array()) builder.fail("{} is not a list", key);
  std::set<int64_t> listed;
  for (const Json& entry : json.value("layers", Json::array())) {
    check_keys(builder, entry, "an entry of layers",
               {"layer", "input_channels", "output_channels"});
    const int64_t index = integer(builder, entry, "layer");
    if (index < 0 || index >= static_cast<int64_t>(layers.size()))
      builder.fail("layer {} is not in 0 .. {}", index, layers.size() - 1);
    if (!listed.insert(index).second)
      builder.fail("layer {} is listed twice; write one entry with all of its channels", index);
    const Layer& layer = layers[static_cast<size_t>(index)];
    add_entry(builder, entry, layer.weight, fmt::format("layer {} ({})", index, layer.name));
  }
  std::set<std::string> named;
  for (const Json& entry : json.value("parameters", Json::array())) {
    check_keys(builder, entry, "an entry of parameters",
               {"name", "input_channels", "output_channels"});
    if (!entry.contains("name")) builder.fail("an entry of parameters has no name");
    if (!entry.at("name").is_string())
      builder.fail("a parameter's name is {}, not a text", shown_json(entry.at("name")));
    const std::string name = entry.at("name").get<std::string>();
    if (!named.insert(name).second)
      builder.fail("parameter {} is listed twice; write one entry with all of its channels", name);
    add_entry(builder, entry, builder.find(name), name);
  }
}

}  // namespace

Scheme parse_scheme(const std::string& spec, const Graph& forward) {
  SchemeBuilder builder(forward, spec);
  if (spec == "full") {
    const std::vector<bool> reaching = reaching_output(forward);
    for (size_t i = 0; i < forward.values.size(); ++i)
      if (reaching[i] && forward.values[i].role == Role::parameter)
        builder.train(static_cast<ValueId>(i));
    return builder.scheme();
  }
  const bool last = spec.starts_with("last:"), bias = spec.starts_with("bias:");
  if (spec == "head" || last || bias) {
    builder.train_layer(builder.layers().back());
    const int64_t count = last || bias ? parse_count(builder, spec.substr(5)) : 0;
    for (const Layer& layer : builder.last(count))
      last ? builder.train_layer(layer) : builder.train(layer.bias);
    return builder.scheme();
  }
  add_json(builder, spec.starts_with('{') ? read_json_text(spec, "scheme " + shown_name(spec))
                                          : read_json(builder, spec));
  return builder.scheme();
}

std::string Scheme::json() const {
  Json parameters = Json::array();
  for (const TrainedSlice& slice : slices) {
    Json entry = {{"name", slice.parameter}};
    if (slice.axis >= 0)
      entry[slice.input_channels ? "input_channels" : "output_channels"] = slice.channels;
    parameters.push_back(entry);
  }
  try {
    return Json{{"head", false}, {"parameters", parameters}}.dump();
  } catch (const Json::type_error&) {
    throw_error("the model has a parameter whose name is not UTF-8; rename it in the model");
  }
}

}  // namespace attune
