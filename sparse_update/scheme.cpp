#include "sparse_update/scheme.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "graph/ir/error.h"
#include "sparse_update/glob.h"
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
      : graph_(graph),
        source_(std::move(source)),
        layers_(find_layers(graph)),
        reaching_(reaching_output(graph)) {
    if (layers_.empty())
      throw_error(
          "{}: the model has no layer with a weight to train: no convolution, no product with a "
          "matrix, no table of rows",
          source_);
    names_by_layer_.resize(graph_.values.size());
    // A parameter of several layers is called after the first.
    for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer)
      for (const auto& [id, end] : {std::pair{layer->bias, ".bias"}, {layer->weight, ".weight"}})
        if (id != kNone) names_by_layer_[static_cast<size_t>(id)] = layer->name + end;
  }

  const std::vector<Layer>& layers() const { return layers_; }
  size_t before_head() const { return layers_.size() - 1; }

  void train(ValueId parameter) {
    if (parameter != kNone)
      slices_[parameter] = {graph_.value(parameter).origin.tensor, -1, {}, {}};
  }
  void train_all(const std::vector<ValueId>& parameters) {
    for (ValueId parameter : parameters) train(parameter);
  }
  void train_channels(ValueId parameter, int axis, bool input, std::vector<int64_t> channels) {
    slices_[parameter] = {graph_.value(parameter).origin.tensor, axis, input, std::move(channels)};
  }

  // The last layers before the classifier, as the user counted them: "4" layers, "4 blocks".
  std::vector<Layer> last(const std::string& text) const {
    const std::string_view whole = text;
    const std::string_view number = whole.substr(0, whole.find_first_not_of("0123456789"));
    std::string_view unit = whole.substr(number.size());
    if (unit.starts_with(' ')) unit.remove_prefix(1);
    int64_t count = 0;
    const bool blocks = unit == "blocks" || unit == "block";
    if (!parse_number(number, &count) || (!blocks && !unit.empty()))
      fail("'{}' is no number of layers, nor of blocks, as in '4blocks'", shown_name(text));
    return blocks ? last_blocks(count) : last_layers(count);
  }

  // Those that the user means by one name.
  std::vector<ValueId> find(const std::string& name) const {
    std::vector<std::string> known;
    std::vector<ValueId> meant;
    const bool may_be_pattern = name.size() <= kMostPatternBytes;
    for (size_t i = 0; i < graph_.values.size(); ++i) {
      const Value& value = graph_.values[i];
      const auto id = static_cast<ValueId>(i);
      if (value.role != Role::parameter) continue;
      if (value.origin.tensor == name) return {id};
      const auto is_meant = [&](const std::string& called) {
        // No pattern means what has no name.
        return !called.empty() && (name == called || (may_be_pattern && matches(name, called)));
      };
      if (reaching_[i] && (is_meant(value.origin.tensor) || is_meant(names_by_layer_[i])))
        meant.push_back(id);
      if (known.size() < 8) known.push_back(value.origin.tensor);
    }
    if (meant.empty()) check_pattern(name);
    if (meant.empty())
      fail("the model has no parameter '{}'; it has {} ...", shown_name(name),
           fmt::join(known, ", "));
    return meant;
  }

  // What is no pattern may be as long as a name.
  void check_pattern(const std::string& pattern) const {
    if (pattern.size() > kMostPatternBytes && pattern.find_first_of("*?[{") != pattern.npos)
      fail("'{}' has {} bytes; give a pattern of at most {}", shown_name(pattern), pattern.size(),
           kMostPatternBytes);
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
  std::vector<Layer> last_layers(int64_t count) const {
    // Who counts the layers of other outputs, too, gets all that this one has.
    if (count >= std::ssize(find_layers(graph_, true)))
      fail("asks for the last {} layers, the model has {} before its classifier", count,
           before_head());
    count = std::min(count, static_cast<int64_t>(before_head()));
    return {layers_.end() - 1 - count, layers_.end() - 1};
  }

  std::vector<Layer> last_blocks(int64_t count) const {
    std::vector<std::string> seen;
    std::vector<size_t> begins;  // of each block
    for (size_t l = 0; l < before_head(); ++l) {
      const std::string& block = layers_[l].block;
      if (block.empty() || std::find(seen.begin(), seen.end(), block) != seen.end()) continue;
      seen.push_back(block);
      begins.push_back(l);
    }
    if (seen.empty()) return last_layers(count);
    if (count > std::ssize(seen))
      fail("asks for the last {} blocks, the model has {}: {} .. {}", count, seen.size(),
           seen.front(), seen.back());
    const size_t first =
        count == 0 ? before_head() : begins[seen.size() - static_cast<size_t>(count)];
    return {layers_.begin() + static_cast<std::ptrdiff_t>(first), layers_.end() - 1};
  }

  const Graph& graph_;
  std::string source_;
  std::vector<Layer> layers_;
  std::vector<bool> reaching_;
  std::vector<std::string> names_by_layer_;  // of each value: "conv1.weight"; else empty
  std::map<ValueId, TrainedSlice> slices_;
};

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
  if (axis < 0)
    builder.fail("{}: {} channels of {} cannot be chosen", label, input ? "input" : "output",
                 layer->name);
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

// The last layers of a count such as 4 or "4 blocks".
std::vector<Layer> last(const SchemeBuilder& builder, const Json& object, const char* key) {
  if (!object.contains(key)) return {};
  const Json& count = object.at(key);
  if (count.is_string()) return builder.last(count.get<std::string>());
  return builder.last(std::to_string(integer(builder, object, key)));
}

std::string text(const SchemeBuilder& builder, const Json& entry, const char* what) {
  const Json& name = entry.at("name");
  if (!name.is_string()) builder.fail("a {}'s name is {}, not a text", what, shown_json(name));
  return name.get<std::string>();
}

// The layers that an entry is of, by their numbers.
std::vector<size_t> layers_of(const SchemeBuilder& builder, const Json& entry) {
  const std::vector<Layer>& layers = builder.layers();
  if (!entry.contains("name")) {
    if (entry.contains("of_last")) builder.fail("of_last goes with a name, not with a layer");
    const int64_t index = integer(builder, entry, "layer");
    if (index < 0 || index >= std::ssize(layers))
      builder.fail("layer {} is not in 0 .. {}", index, layers.size() - 1);
    return {static_cast<size_t>(index)};
  }
  if (entry.contains("layer")) builder.fail("an entry of layers has both a layer and a name");
  const std::string pattern = text(builder, entry, "layer");
  const bool may_be_pattern = pattern.size() <= kMostPatternBytes;
  const size_t count =
      entry.contains("of_last") ? last(builder, entry, "of_last").size() : builder.before_head();
  std::vector<size_t> found;
  for (size_t l = builder.before_head() - count; l < builder.before_head(); ++l)
    if (layers[l].name == pattern || (may_be_pattern && matches(pattern, layers[l].name)))
      found.push_back(l);
  if (found.empty()) builder.check_pattern(pattern);
  if (found.empty())
    builder.fail("none of the {} layers that may be is called '{}'; the last one is {}", count,
                 shown_name(pattern), layers[builder.before_head()].name);
  return found;
}

Json read_json(const SchemeBuilder& builder, const std::string& path) {
  std::error_code failure;
  if (!std::filesystem::is_regular_file(path, failure))
    builder.fail("is neither full, head, last:K, bias:K, names:.. nor a file that can be read");
  return read_json_file(path, "scheme " + path);
}

void add_json(SchemeBuilder& builder, const Json& json) {
  check_keys(builder, json, "the file",
             {"head", "bias_last", "weights_last", "layers", "parameters"});
  const std::vector<Layer>& layers = builder.layers();
  if (json.contains("head") && !json.at("head").is_boolean())
    builder.fail("head is {}, not true or false", shown_json(json.at("head")));
  if (json.value("head", true)) builder.train_all(layers.back().parameters());
  for (const Layer& layer : last(builder, json, "bias_last")) builder.train_all(layer.biases);
  for (const Layer& layer : last(builder, json, "weights_last"))
    builder.train_all(layer.parameters());
  for (const char* key : {"layers", "parameters"})
    if (json.contains(key) && !json.at(key).is_array()) builder.fail("{} is not a list", key);
  std::set<size_t> listed;
  for (const Json& entry : json.value("layers", Json::array())) {
    check_keys(builder, entry, "an entry of layers",
               {"layer", "name", "of_last", "input_channels", "output_channels"});
    for (const size_t index : layers_of(builder, entry)) {
      if (!listed.insert(index).second)
        builder.fail("layer {} is listed twice; write one entry with all of its channels", index);
      const Layer& layer = layers[index];
      add_entry(builder, entry, layer.weight, fmt::format("layer {} ({})", index, layer.name));
    }
  }
  std::set<std::string> named;
  for (const Json& entry : json.value("parameters", Json::array())) {
    check_keys(builder, entry, "an entry of parameters",
               {"name", "input_channels", "output_channels"});
    if (!entry.contains("name")) builder.fail("an entry of parameters has no name");
    const std::string name = text(builder, entry, "parameter");
    if (!named.insert(name).second)
      builder.fail("parameter {} is listed twice; write one entry with all of its channels", name);
    for (ValueId parameter : builder.find(name)) add_entry(builder, entry, parameter, name);
  }
}

// At the commas outside of braces.
std::vector<std::string> patterns_of(const std::string& list) {
  std::vector<std::string> patterns(1);
  int depth = 0;
  for (char c : list) {
    depth += (c == '{') - (c == '}');
    if (c == ',' && depth <= 0)
      patterns.emplace_back();
    else
      patterns.back() += c;
  }
  return patterns;
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
  const bool last = spec.starts_with("last:"), bias = spec.starts_with("bias:"),
             names = spec.starts_with("names:");
  if (spec == "head" || last || bias || names) {
    builder.train_all(builder.layers().back().parameters());
    if (last || bias)
      for (const Layer& layer : builder.last(spec.substr(5)))
        builder.train_all(last ? layer.parameters() : layer.biases);
    if (names)
      for (const std::string& pattern : patterns_of(spec.substr(6)))
        builder.train_all(builder.find(pattern));
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
