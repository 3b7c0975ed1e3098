#include "cli/layer_list.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/common.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "sparse_update/layers.h"
#include "sparse_update/number_text.h"

namespace attune::cli {
namespace {

std::vector<std::string> names_of(const Graph& graph, const std::vector<ValueId>& values) {
  std::vector<std::string> names;
  for (ValueId id : values) names.push_back(graph.value(id).origin.tensor);
  return names;
}

// How many channels an axis of the weight has; 0: it has none.
int64_t channels(const Graph& graph, const Layer& layer, int axis) {
  return axis < 0 ? 0 : graph.shape(layer.weight)[axis];
}

int64_t elements_besides(const Graph& graph, const Layer& layer) {
  int64_t elements = -graph.shape(layer.weight).elements();
  for (ValueId id : layer.parameters()) elements += graph.shape(id).elements();
  return elements;
}

}  // namespace

void print_layers(const Graph& forward, bool json) {
  const std::vector<Layer> layers = find_layers(forward);
  Json list = Json::array();
  Table table({">layer", "name", "operator", ">inputs", ">outputs", ">weight", ">others", "block"});
  for (size_t l = 0; l < layers.size(); ++l) {
    const Layer& layer = layers[l];
    const int64_t inputs = channels(forward, layer, layer.input_axis);
    const int64_t outputs = channels(forward, layer, layer.output_axis);
    const int64_t weight = forward.shape(layer.weight).elements();
    list.push_back({{"layer", l},
                    {"name", layer.name},
                    {"operator", op_name(layer.op)},
                    {"block", layer.block},
                    {"input_channels", inputs},
                    {"output_channels", outputs},
                    {"weight", names_of(forward, {layer.weight}).front()},
                    {"weight_elements", weight},
                    {"biases", names_of(forward, layer.biases)},
                    {"others", names_of(forward, layer.others)}});
    table.row({std::to_string(l), layer.name, op_name(layer.op),
               inputs > 0 ? count_text(static_cast<uint64_t>(inputs)) : "",
               outputs > 0 ? count_text(static_cast<uint64_t>(outputs)) : "",
               count_text(static_cast<uint64_t>(weight)),
               count_text(static_cast<uint64_t>(elements_besides(forward, layer))), layer.block});
  }
  if (json)
    print_json(Json{{"layers", list}});
  else
    print("{}", table.text());
}

}  // namespace attune::cli
