#include <bit>
#include <map>
#include <numeric>

#include "graph/passes/passes.h"

namespace attune {
namespace {

// Everything that an output depends on. The shape is there for operators that have a choice of it.
std::vector<int64_t> key_of(const Graph& graph, const Node& node) {
  std::vector<int64_t> key = {static_cast<int64_t>(node.op)};
  std::vector<int32_t> ints;
  std::vector<double> reals;
  encode_attrs(node.attrs, &ints, &reals);
  key.insert(key.end(), ints.begin(), ints.end());
  for (double real : reals) key.push_back(std::bit_cast<int64_t>(real));
  const Shape& shape = graph.shape(node.outputs[0]);
  key.push_back(shape.rank);
  key.insert(key.end(), shape.dims, shape.dims + shape.rank);
  std::vector<ValueId> inputs = node.inputs;
  while (!inputs.empty() && inputs.back() == kNone) inputs.pop_back();
  key.insert(key.end(), inputs.begin(), inputs.end());
  return key;
}

}  // namespace

void share_common_subexpressions(Graph& graph) {
  std::vector<ValueId> replacement(graph.values.size());
  std::iota(replacement.begin(), replacement.end(), 0);
  std::map<std::vector<int64_t>, size_t> seen;  // to the index in `nodes`
  std::vector<Node> nodes;
  for (Node& node : graph.nodes) {
    for (ValueId& id : node.inputs)
      if (id != kNone) id = replacement[id];
    const bool update = op_info(node.op).kind == OpKind::update;
    const auto [entry, fresh] =
        update ? std::pair{seen.end(), true} : seen.try_emplace(key_of(graph, node), nodes.size());
    if (fresh) {
      nodes.push_back(std::move(node));
      continue;
    }
    Node& earlier = nodes[entry->second];
    if (earlier.outputs.size() < node.outputs.size())
      earlier.outputs.resize(node.outputs.size(), kNone);
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const ValueId id = node.outputs[i];
      if (id == kNone) continue;
      if (earlier.outputs[i] == kNone) {
        earlier.outputs[i] = id;  // an optional output that only the later node had
        continue;
      }
      Value& kept = graph.value(earlier.outputs[i]);
      if (kept.model_tensor.empty()) {
        kept.model_tensor = graph.value(id).model_tensor;
        kept.model_perm = graph.value(id).model_perm;
      }
      replacement[id] = earlier.outputs[i];
    }
  }
  graph.nodes = std::move(nodes);
  for (Port& port : graph.outputs) port.value = replacement[port.value];
  for (Value& value : graph.values)
    if (value.updates != kNone) value.updates = replacement[value.updates];
  graph.index();
}

}  // namespace attune
