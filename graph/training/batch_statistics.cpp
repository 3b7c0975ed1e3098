#include "graph/training/batch_statistics.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>

#include "attune/port.h"
#include "graph/ir/error.h"
#include "graph/rules/rules.h"
#include "graph/training/loss.h"
#include "graph/training/random_step.h"

namespace attune {
namespace {

constexpr const char* kNames[] = {"frozen", "estimate", "update"};
constexpr int kMean = 3, kVariance = 4;  // inputs of both operators

bool is_norm(const Node& node) {
  return node.op == Op::batch_norm || node.op == Op::batch_norm_train;
}

// Older exporters merge tensors that are equal.
[[noreturn]] void refuse_merged(const std::string& tensor, const std::string& norm,
                                const std::string& other) {
  throw_error(
      "'{}' is a statistic of batch norm '{}' and also belongs to {}, as an exporter merges "
      "tensors "
      "that are equal in a model that was never trained; export it with dynamo=True, or after a "
      "step of training",
      tensor, norm, other);
}

int32_t positions_of(const Shape& x) { return static_cast<int32_t>(x.product(1, x.rank - 1)); }

}  // namespace

BatchNorm parse_batch_norm(const std::string& name) {
  for (const BatchNorm mode : {BatchNorm::frozen, BatchNorm::estimate, BatchNorm::update})
    if (name == batch_norm_name(mode)) return mode;
  throw_error("--batch-norm {}: give frozen, estimate or update", name);
}

const char* batch_norm_name(BatchNorm mode) { return kNames[static_cast<int>(mode)]; }

void track_statistics(Graph& graph, BatchNorm mode) {
  std::map<std::string, std::string> used;  // tensor: what uses it
  for (const Value& value : graph.values)
    if (value.role == Role::parameter) used[value.origin.tensor] = "a parameter";
  for (const Node& node : graph.nodes) {
    if (!is_norm(node)) continue;
    for (const int i : {kMean, kVariance}) {
      Value& value = graph.value(node.inputs[i]);
      if (value.origin.tensor.empty())
        throw_error("--batch-norm {}: '{}', of batch norm '{}', is no initializer of the model",
                    batch_norm_name(mode), value.name, node.name);
      const auto [other, is_new] =
          used.emplace(value.origin.tensor, fmt::format("batch norm '{}'", node.name));
      if (!is_new) refuse_merged(value.origin.tensor, node.name, other->second);
      value.role = Role::statistic;
      value.trained = true;
    }
  }
  if (tracked_statistics(graph).empty())
    throw_error(
        "--batch-norm {}: the model has no BatchNormalization: exporters fold it into the layer "
        "before it; keep it by torch.onnx.export(model.eval(), ..., dynamo=True, optimize=False), "
        "or with the older exporter training=torch.onnx.TrainingMode.PRESERVE, "
        "do_constant_folding=False",
        batch_norm_name(mode));
}

void check_frozen_statistics(const Graph& graph) {
  std::set<std::string> trained;
  for (const Value& value : graph.values)
    if (value.role == Role::parameter && value.trained) trained.insert(value.origin.tensor);
  for (const Node& node : graph.nodes)
    for (const int i : {kMean, kVariance}) {
      if (!is_norm(node) || graph.value(node.inputs[i]).role != Role::constant) continue;
      const std::string& tensor = graph.value(node.inputs[i]).origin.tensor;
      if (trained.contains(tensor)) refuse_merged(tensor, node.name, "what is trained");
    }
}

std::vector<ValueId> tracked_statistics(const Graph& graph) {
  std::vector<ValueId> found;
  for (const Node& node : graph.nodes)
    for (const int i : {kMean, kVariance})
      if (is_norm(node) && graph.value(node.inputs[i]).role == Role::statistic)
        found.push_back(node.inputs[i]);
  return found;
}

void use_batch_statistics(Graph& graph, int examples) {
  ValueId weights = graph.input(port_name(PortRole::weight));
  if (weights == kNone)
    weights = graph.add_input(port_name(PortRole::weight), graph.real, Shape{examples});
  // In front of all that reads it.
  const auto before = static_cast<std::ptrdiff_t>(graph.nodes.size());
  weights = sum_by_example(graph, weights);
  std::rotate(graph.nodes.begin(), graph.nodes.begin() + before, graph.nodes.end());
  graph.index();
  for (Node& node : graph.nodes) {
    if (node.op != Op::batch_norm) continue;
    const Shape& x = graph.shape(node.inputs[0]);
    if (x[0] != examples)
      throw_error(
          "batch norm '{}' normalises {}, whose first axis is not that of the batch's {} "
          "examples: only frozen statistics can be had; compile with --batch-norm frozen",
          node.name, shape_text(x), examples);
    if (int64_t{examples} * positions_of(x) < 2)
      throw_error(
          "batch norm '{}' sees one value of each channel in a batch of {}, which has no "
          "variance; give --batch-size 2 or more",
          node.name, examples);
    node.op = Op::batch_norm_train;
    node.inputs.push_back(weights);
  }
}

void append_running_statistics(Graph& graph, bool of_all_steps) {
  const ValueId step = of_all_steps ? step_input(graph) : kNone;
  std::vector<Node> updates;
  for (Node& node : graph.nodes) {
    if (node.op != Op::batch_norm_train) continue;
    const ValueId mean = graph.want_output(node, 1), var = graph.want_output(node, 2);
    const RunningStatisticsAttrs attrs{graph.value(node.inputs[kMean]).momentum,
                                       positions_of(graph.shape(node.inputs[0]))};
    std::vector<ValueId> inputs = {node.inputs[kMean], node.inputs[kVariance], mean, var,
                                   node.inputs[5]};
    if (step != kNone) inputs.push_back(step);
    updates.push_back(graph.make(Op::running_statistics, attrs, std::move(inputs),
                                 node.name + "/running", nullptr, 2));
  }
  for (Node& update : updates) graph.nodes.push_back(std::move(update));
}

}  // namespace attune
