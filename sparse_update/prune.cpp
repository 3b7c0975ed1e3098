#include "sparse_update/prune.h"

#include "graph/ir/error.h"
#include "graph/rules/cut.h"
#include "graph/rules/rules.h"

namespace attune {
namespace {

class Parameters {
 public:
  explicit Parameters(const Graph& graph) {
    for (size_t i = 0; i < graph.values.size(); ++i)
      if (graph.values[i].role == Role::parameter)
        by_tensor_.emplace(graph.values[i].origin.tensor, static_cast<ValueId>(i));
  }

  ValueId find(const std::string& tensor) const {
    const auto found = by_tensor_.find(tensor);
    if (found == by_tensor_.end()) throw_error("scheme: the model has no parameter '{}'", tensor);
    return found->second;
  }

 private:
  std::map<std::string, ValueId> by_tensor_;
};

// Gathers channels along an axis right behind the node that makes `value`, once for each set of
// channels.
class Gatherer {
 public:
  explicit Gatherer(Graph& graph) : graph_(graph) {}

  ValueId gather(ValueId value, int axis, const std::vector<int64_t>& channels) {
    const auto key = std::make_tuple(value, axis, channels);
    if (const auto it = made_.find(key); it != made_.end()) return it->second;
    const auto [indices, fresh] = indices_.try_emplace(channels, kNone);
    if (fresh) indices->second = graph_.add_index_constant("channels", channels);
    Node node = graph_.make(Op::gather, AxisAttrs{axis}, {value, indices->second},
                            graph_.value(value).name + "/channels");
    const ValueId result = node.outputs[0];
    graph_.index();
    const NodeId producer = graph_.value(value).producer;  // kNone: an input, gathered first
    graph_.nodes.insert(graph_.nodes.begin() + producer + 1, std::move(node));
    return made_[key] = result;
  }

 private:
  Graph& graph_;
  std::map<std::tuple<ValueId, int, std::vector<int64_t>>, ValueId> made_;
  std::map<std::vector<int64_t>, ValueId> indices_;
};

}  // namespace

void mark_trained(Graph& graph, const Scheme& scheme) {
  const Parameters parameters(graph);
  for (const TrainedSlice& slice : scheme.slices)
    graph.value(parameters.find(slice.parameter)).trained = true;
}

std::vector<Update> prune(Graph& graph, const Scheme& scheme,
                          const std::map<ValueId, ValueId>& gradients) {
  const Parameters parameters(graph);
  Gatherer gatherer(graph);
  std::vector<Update> updates;
  for (const TrainedSlice& slice : scheme.slices) {
    const ValueId parameter = parameters.find(slice.parameter);
    const auto found = gradients.find(parameter);
    if (found == gradients.end())
      throw_error("scheme: parameter '{}' has no influence on the loss; leave it out",
                  slice.parameter);
    Update update{parameter, found->second, slice.axis, slice.channels, {}};
    if (slice.axis >= 0) {
      graph.index();
      const NodeId id = graph.value(found->second).producer;
      const Cut narrow = cut_output(graph, graph.nodes[id], 0, slice.axis);
      // Where nothing is multiplied, it is cheaper to gather the result.
      if (!narrow.possible || op_macs(graph, graph.nodes[id]) == 0) {
        update.gradient = gatherer.gather(found->second, slice.axis, slice.channels);
      } else {
        Node node = graph.nodes[id];
        for (size_t i = 0; i < node.inputs.size(); ++i)
          if (narrow.axis[i] >= 0)
            node.inputs[i] = gatherer.gather(node.inputs[i], narrow.axis[i], slice.channels);
        Node narrowed = graph.make(node.op, node.attrs, node.inputs, node.name);
        update.gradient = narrowed.outputs[0];
        graph.index();
        const NodeId place = graph.value(found->second).producer;
        graph.nodes.insert(graph.nodes.begin() + place, std::move(narrowed));
      }
    }
    updates.push_back(std::move(update));
  }
  return updates;
}

}  // namespace attune
