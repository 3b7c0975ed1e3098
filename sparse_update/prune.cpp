#include "sparse_update/prune.h"

#include "graph/ir/error.h"

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

// Which inputs of a weight gradient to narrow, by axis of the weight; empty where the operator
// cannot be narrowed and its result is gathered instead.
struct Narrowing {
  int input = 0;  // of the gradient node
  int axis = 0;   // of that input
};

std::vector<Narrowing> narrowings(const Node& gradient, int axis) {
  switch (gradient.op) {
    case Op::conv2d_grad_weight:  // x[N,H,W,C] dy[N,OH,OW,O] -> dw[O,KH,KW,C]
      if (gradient.as<Conv2dAttrs>().groups != 1) return {};
      if (axis == 3) return {{0, 3}};
      if (axis == 0) return {{1, 3}};
      return {};
    case Op::depthwise_conv2d_grad_weight:  // x[N,H,W,C] dy[N,OH,OW,C] -> dw[KH,KW,C]
      return axis == 2 ? std::vector<Narrowing>{{0, 3}, {1, 3}} : std::vector<Narrowing>{};
    case Op::matmul: {  // dy[N,O]^T x[N,I] -> dw[O,I]
      const auto& attrs = gradient.as<MatmulAttrs>();
      if (!attrs.transpose_a || attrs.transpose_b) return {};
      return {{axis == 0 ? 0 : 1, 1}};
    }
    default:
      return {};
  }
}

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
      const auto narrow = narrowings(graph.nodes[id], slice.axis);
      if (narrow.empty()) {
        update.gradient = gatherer.gather(found->second, slice.axis, slice.channels);
      } else {
        Node node = graph.nodes[id];
        for (const Narrowing& n : narrow)
          node.inputs[n.input] = gatherer.gather(node.inputs[n.input], n.axis, slice.channels);
        if (node.op == Op::depthwise_conv2d_grad_weight)
          std::get<Conv2dAttrs>(node.attrs).groups = static_cast<int32_t>(slice.channels.size());
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
