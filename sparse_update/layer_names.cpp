#include "sparse_update/layer_names.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

#include "graph/import/common/parameters.h"

namespace attune {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (char c : text)
    if (c == separator)
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

// The name without its end; "" where it ends otherwise.
std::string without(const std::string& name, std::initializer_list<std::string_view> ends) {
  for (std::string_view end : ends)
    if (name.size() > end.size() && name.ends_with(end))
      return name.substr(0, name.size() - end.size());
  return "";
}

// Whether a part of a name counts like things: "3", "encoder_layer_3".
bool counts(const std::string& part) {
  const std::string number = part.substr(part.rfind('_') + 1);
  return !number.empty() && number.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

std::string module_path(const std::string& node_name) {
  if (!node_name.starts_with('/')) return "";
  std::vector<std::string> parts = split(node_name.substr(1), '/');
  // The node itself, and what import adds to its name.
  const auto is_part_of_node = [](const std::string& part) {
    return part == "linear" || part == "matmul" || part == "product" || part == "input";
  };
  while (parts.size() > 1 && is_part_of_node(parts.back())) parts.pop_back();
  parts.pop_back();
  // A module in a Sequential is named in full behind that: "/features/features.0/Conv".
  std::vector<std::string> path;
  for (const std::string& part : parts) {
    if (!path.empty() && part.starts_with(path.back() + ".")) path.pop_back();
    path.push_back(part);
  }
  return fmt::format("{}", fmt::join(path, "."));
}

int common_parts(const std::string& a, const std::string& b) {
  const std::vector<std::string> x = split(a, '.'), y = split(b, '.');
  const auto differ = std::mismatch(x.begin(), x.end(), y.begin(), y.end());
  return static_cast<int>(differ.first - x.begin());
}

void name_layers(Graph& graph) {
  graph.index();
  const std::vector<Layer> layers = find_layers(graph, true);
  const auto readers = graph.readers();
  std::map<std::string, int> paths;
  for (const Layer& layer : layers) ++paths[module_path(layer.name)];
  std::set<std::string> taken;
  for (const Layer& layer : layers) {
    const std::string& tensor = graph.value(layer.weight).origin.tensor;
    const std::string own = without(tensor, {".weight", "_weight", ".kernel", "/kernel"});
    const std::string path = module_path(layer.name), unique = paths[path] == 1 ? path : "";
    const std::string by_bias =
        layer.bias == kNone ? "" : without(graph.value(layer.bias).origin.tensor, {".bias"});
    const std::string part = layer.name.substr(layer.name.rfind('/') + 1);
    // A weight of several uses is called after one of them.
    const bool tied = readers[static_cast<size_t>(layer.weight)].size() > 1;
    for (const std::string& name :
         {tied ? unique : own, tied ? own : unique, by_bias, path.empty() ? "" : path + "." + part,
          looks_generated(tensor) ? layer.name : tensor,
          fmt::format("{}#{}", layer.name, taken.size())}) {
      if (name.empty() || !taken.insert(name).second) continue;
      for (NodeId node : layer.nodes) graph.nodes[node].name = name;
      break;
    }
  }
}

// A block is the innermost counted part of a model that has a sibling of the same layers; where
// there is none, the outermost counted part.
void find_blocks(std::vector<Layer>& layers) {
  struct Part {
    std::string series;                  // what it is counted in
    std::vector<std::string> of_series;  // its layers, named from here on
  };
  std::map<std::string, Part> parts;
  const auto each_part = [&](const Layer& layer, const auto& use) {
    const std::vector<std::string> names = split(layer.name, '.');
    std::string prefix, series;
    for (size_t i = 0; i + 1 < names.size(); ++i) {
      series = prefix;
      prefix += (i > 0 ? "." : "") + names[i];
      if (counts(names[i])) use(prefix, series + "." + names[i].substr(0, names[i].rfind('_') + 1));
    }
  };
  for (const Layer& layer : layers)
    each_part(layer, [&](const std::string& prefix, const std::string& series) {
      Part& part = parts[prefix];
      part.series = series;
      part.of_series.push_back(layer.name.substr(prefix.size() + 1));
    });
  std::map<std::pair<std::string, std::vector<std::string>>, int> alike;
  for (auto& [prefix, part] : parts) {
    std::sort(part.of_series.begin(), part.of_series.end());
    ++alike[{part.series, part.of_series}];
  }
  for (Layer& layer : layers) {
    bool has_sibling = false;
    each_part(layer, [&](const std::string& prefix, const std::string&) {
      const Part& part = parts[prefix];
      const bool repeated = part.of_series.size() > 1 && alike[{part.series, part.of_series}] > 1;
      if (repeated || (!has_sibling && layer.block.empty())) layer.block = prefix;
      has_sibling |= repeated;
    });
  }
}

}  // namespace attune
