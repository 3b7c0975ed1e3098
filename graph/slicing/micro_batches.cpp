#include "graph/slicing/micro_batches.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attune/port.h"

namespace attune {
namespace {

// The weight of a micro-batch's examples, of the whole batch's.
constexpr const char* kShare = "share";
constexpr const char* kSum = "sum:";

}  // namespace

void weigh_micro_batch(Graph& graph, AttachedLoss& loss) {
  const ValueId share = graph.add_input(kShare, graph.real, Shape{1});
  for (Port& port : graph.outputs)
    if (port.name == port_name(PortRole::loss))
      port.value = graph.emit(Op::mul, NoAttrs{}, {port.value, share}, "loss/part");
  for (auto& [prediction, gradient] : loss.seed)
    gradient = graph.emit(Op::mul, NoAttrs{}, {gradient, share}, "loss/grad/part");
}

void add_up_outputs(Graph& graph) {
  for (Port& port : graph.outputs) {
    const Value& term = graph.value(port.value);
    const std::string name = kSum + port.name;
    const ValueId before = graph.add_input(name, term.dtype, term.shape);
    port = {name, graph.emit(Op::add, NoAttrs{}, {before, port.value}, name + "/added")};
  }
}

void repeat_micro_batch(Graph& graph, int count) {
  std::vector<Node> once, repeated;
  const auto add = [&](std::vector<Node>& to, Op op, AnyAttrs attrs, std::vector<ValueId> inputs,
                       const std::string& name, const Shape* shape = nullptr) {
    to.push_back(graph.make(op, std::move(attrs), std::move(inputs), name, shape));
    return to.back().outputs[0];
  };
  // Some examples of the model's tensor are not that tensor.
  for (Value& value : graph.values) value.model_tensor.clear();
  const std::vector<Port> parts = std::exchange(graph.inputs, {});
  const auto part = [&](std::string_view name) {
    return std::find_if(parts.begin(), parts.end(), [&](const Port& p) { return p.name == name; })
        ->value;
  };

  // Whole batches take the inputs' names; a micro-batch's inputs are slices of them.
  for (const Port& port : parts) {
    if (port.name == kShare || port.name.starts_with(kSum)) continue;
    const Shape shape = graph.shape(port.value);
    const std::string name = graph.value(port.value).name;
    graph.rename(port.value, name + "/part");
    Value whole = graph.value(port.value);
    whole.name = name;
    whole.shape[0] *= count;
    const ValueId batch = graph.add_value(std::move(whole));
    const ValueId examples =
        add(repeated, Op::slice, SliceAttrs{0, 0}, {batch}, name + "/micro", &shape);
    for (Value& value : graph.values)
      if (value.lies_in == port.value) value.lies_in = batch;
    graph.value(examples).lies_in = batch;
    graph.value(examples).advance = shape.elements();
    graph.replace_uses(port.value, examples);
    graph.inputs.push_back({port.name, batch});
    if (port.name != port_name(PortRole::weight)) continue;

    // Of examples, or of each of their positions.
    const auto sum = [&](std::vector<Node>& to, ValueId weights, const std::string& name_of_sum) {
      const int rank = shape.rank;
      ValueId made = add(to, Op::reduce, ReduceAttrs{(1 << rank) - 1}, {weights}, name_of_sum);
      const Shape one{1};
      if (rank > 1) made = add(to, Op::reshape, NoAttrs{}, {made}, name_of_sum + "/one", &one);
      return made;
    };
    ValueId total = sum(once, batch, "weights/total");
    // Without any weight, shares are 0 and not 0 / 0.
    total = add(once, Op::clamp, ClampAttrs{.min = 1e-30}, {total}, "weights/total");
    const ValueId weight = sum(repeated, examples, name + "/total");
    graph.replace_uses(part(kShare), add(repeated, Op::div, NoAttrs{}, {weight, total}, kShare));
  }

  // Sums, of nothing at first.
  const ValueId zero = graph.add_constant("zero", Shape{1}, {0});
  for (Port& sum : graph.outputs) {
    const Shape shape = graph.shape(sum.value);
    const ValueId before = add(once, Op::broadcast_to, BroadcastAttrs{}, {zero}, sum.name, &shape);
    graph.replace_uses(part(sum.name), before);
    graph.value(sum.value).lies_in = before;
    graph.repeat.carried.emplace_back(before, sum.value);
    sum.name = sum.name.substr(std::string(kSum).size());
  }

  graph.repeat.begin = static_cast<NodeId>(once.size());
  graph.repeat.count = count;
  for (std::vector<Node>* more : {&repeated, &graph.nodes})
    std::move(more->begin(), more->end(), std::back_inserter(once));
  graph.repeat.end = static_cast<NodeId>(once.size());
  graph.nodes = std::move(once);
  graph.index();
}

}  // namespace attune
