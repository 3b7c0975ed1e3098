#include <algorithm>
#include <utility>

#include "graph/memory/storage.h"
#include "graph/passes/passes.h"
#include "graph/rules/cut.h"

namespace attune {
namespace {

// A step more, and its tensors, take some memory of a session, too.
constexpr int64_t kLeastFrozen = 1024;

ValueId find_value(const Graph& graph, const TrainedChannels& trained) {
  for (size_t v = 0; v < graph.values.size(); ++v)
    if (graph.values[v].name == trained.parameter) return static_cast<ValueId>(v);
  return kNone;
}

int64_t frozen_part_bytes(const Graph& graph, const TrainedChannels& trained) {
  const Value& value = graph.value(find_value(graph, trained));
  const int64_t size = value.shape[trained.axis];
  return value.bytes() / size * (size - std::ssize(trained.channels));
}

bool is_update(const Graph& graph, const Node& node, ValueId parameter) {
  return op_info(node.op).kind == OpKind::update && node.input(0) == parameter &&
         graph.value(node.output(0)).updates == parameter;
}

bool reads(const Node& node, ValueId value) {
  return std::find(node.inputs.begin(), node.inputs.end(), value) != node.inputs.end();
}

// What the arena grows by, where the whole of a parameter is there while it is read.
class ArenaGrowth {
 public:
  ArenaGrowth(const Graph& graph, int64_t arena_bytes)
      : graph_(graph),
        live_(assign_storage(graph).live_bytes(static_cast<int>(graph.nodes.size()))),
        peak_(arena_bytes) {}

  // By one more.
  int64_t of(ValueId parameter) const { return std::max(peak_, peak_with(parameter)) - peak_; }

  void add(ValueId parameter) {
    peak_ = std::max(peak_, peak_with(parameter));
    for (size_t n = 0; n < graph_.nodes.size(); ++n)
      if (reads_whole(n, parameter)) live_[n + 1] += graph_.value(parameter).bytes();
  }

 private:
  bool reads_whole(size_t n, ValueId parameter) const {
    return reads(graph_.nodes[n], parameter) && !is_update(graph_, graph_.nodes[n], parameter);
  }

  int64_t peak_with(ValueId parameter) const {
    int64_t peak = 0;
    for (size_t n = 0; n < graph_.nodes.size(); ++n)
      if (reads_whole(n, parameter))
        peak = std::max(peak, live_[n + 1] + graph_.value(parameter).bytes());
    return peak;
  }

  const Graph& graph_;
  std::vector<int64_t> live_;  // entry i: step i - 1
  int64_t peak_;
};

// Only what is multiplied with: of a table, a step reads few rows.
bool is_weight(const Graph& graph, ValueId parameter) {
  for (const Node& node : graph.nodes)
    if (reads(node, parameter) && !is_update(graph, node, parameter) && op_macs(graph, node) == 0)
      return false;
  return true;
}

// The elements of slices of an axis that are among `channels`, and the others.
std::pair<DataPtr, DataPtr> parted(const Value& value, const TrainedChannels& trained) {
  std::vector<bool> named(static_cast<size_t>(value.shape[trained.axis]));
  for (int64_t channel : trained.channels) named[static_cast<size_t>(channel)] = true;
  const auto inner = static_cast<size_t>(value.shape.product(trained.axis + 1, value.shape.rank));
  std::vector<double> inside, outside;
  value.data->each_block([&](size_t first, std::span<const double> block) {
    for (size_t i = 0; i < block.size(); ++i)
      (named[(first + i) / inner % named.size()] ? inside : outside).push_back(block[i]);
  });
  return {Data::of_reals(std::move(inside)), Data::of_reals(std::move(outside))};
}

void narrow(Graph& graph, ValueId parameter, const TrainedChannels& trained) {
  const Shape whole = graph.shape(parameter);
  const std::string name = graph.value(parameter).name;
  auto [inside, outside] = parted(graph.value(parameter), trained);
  Shape rest = whole;
  rest[trained.axis] -= static_cast<int32_t>(trained.channels.size());
  Value& value = graph.value(parameter);
  value.shape[trained.axis] = static_cast<int32_t>(trained.channels.size());
  value.data = std::move(inside);
  const DType dtype = value.dtype;
  const ValueId frozen = graph.add_known(name + ".frozen", dtype, rest, std::move(outside));
  const ValueId channels = graph.add_index_constant(name + ".channels", trained.channels);

  std::vector<Node> nodes;
  for (Node& node : graph.nodes) {
    if (is_update(graph, node, parameter)) {
      node.inputs[3] = kNone;  // The slice is all that there is.
      graph.value(node.outputs[0]).shape = graph.shape(parameter);
    } else if (reads(node, parameter)) {
      nodes.push_back(graph.make(Op::interleave, AxisAttrs{trained.axis},
                                 {parameter, frozen, channels}, node.name + "/weight", &whole));
      std::replace(node.inputs.begin(), node.inputs.end(), parameter, nodes.back().outputs[0]);
    }
    nodes.push_back(std::move(node));
  }
  graph.nodes = std::move(nodes);
}

}  // namespace

ValueId frozen_part(const Graph& graph, std::string_view parameter) {
  for (const Node& node : graph.nodes)
    if (node.op == Op::interleave && graph.value(node.inputs[0]).name == parameter)
      return node.inputs[1];
  return kNone;
}

std::vector<TrainedChannels> worth_narrowing(const Graph& graph,
                                             std::vector<TrainedChannels> candidates,
                                             int64_t arena_bytes) {
  std::erase_if(candidates, [&](const TrainedChannels& trained) {
    const ValueId parameter = find_value(graph, trained);
    return parameter == kNone || frozen_part_bytes(graph, trained) < kLeastFrozen ||
           graph.is_output(parameter) || !is_weight(graph, parameter);
  });
  std::stable_sort(candidates.begin(), candidates.end(), [&](const auto& a, const auto& b) {
    return frozen_part_bytes(graph, a) > frozen_part_bytes(graph, b);
  });
  ArenaGrowth growth(graph, arena_bytes);
  std::vector<TrainedChannels> chosen;
  for (TrainedChannels& trained : candidates) {
    const ValueId parameter = find_value(graph, trained);
    if (growth.of(parameter) >= frozen_part_bytes(graph, trained)) continue;
    growth.add(parameter);
    chosen.push_back(std::move(trained));
  }
  return chosen;
}

int64_t frozen_bytes(const Graph& graph, const std::vector<TrainedChannels>& trained) {
  int64_t bytes = 0;
  for (const TrainedChannels& one : trained) bytes += frozen_part_bytes(graph, one);
  return bytes;
}

void narrow_parameters(Graph& graph, const std::vector<TrainedChannels>& trained) {
  for (const TrainedChannels& one : trained)
    if (const ValueId parameter = find_value(graph, one); parameter != kNone)
      narrow(graph, parameter, one);
  graph.index();
}

}  // namespace attune
