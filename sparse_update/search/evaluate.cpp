#include "sparse_update/search/evaluate.h"

#include <algorithm>

#include "sparse_update/parallel.h"

namespace attune {
namespace {

bool reads_target(const Node& node) {
  const OpKind kind = op_info(node.op).kind;
  return kind == OpKind::loss || kind == OpKind::metric;
}

// Of the training step, which is a plan's first program.
int64_t alive_at_loss(const PlanContents& contents) {
  const PlanProgram& train = contents.programs.front();
  const std::vector<Node>& nodes = train.graph.nodes;
  const auto loss = std::find_if(nodes.begin(), nodes.end(), reads_target);
  const auto live = train.memory.storage.live_bytes(static_cast<int>(nodes.size()));
  return live[static_cast<size_t>(loss - nodes.begin()) + 1];
}

}  // namespace

SchemeEvaluator::SchemeEvaluator(const Model& model, const CompileOptions& options,
                                 const SearchSpace& space, const Gains& gains,
                                 CostModel& cost_model, int threads)
    : model_(model),
      options_(options),
      space_(space),
      gains_(gains),
      cost_model_(cost_model),
      threads_(threads) {}

Compiled SchemeEvaluator::compiled(const SchemePoint& point) const {
  CompileOptions options = options_;
  options.scheme = scheme_json(space_, point);
  return compile(model_, options);
}

Cost SchemeEvaluator::cost_of(const Compiled& plan) {
  const std::lock_guard lock(cost_model_mutex_);
  return cost_model_.cost(plan.contents);
}

std::vector<PlainCost> SchemeEvaluator::plain_costs(const std::vector<SchemePoint>& points,
                                                    WorkCount* count) {
  std::vector<PlainCost> made(points.size());
  for_each_in_parallel(points.size(), threads_, [&](size_t i) {
    CompileOptions options = options_;
    options.tile = options.split_gradients = false;
    options.arena_budget = 0;
    options.scheme = scheme_json(space_, points[i]);
    const Compiled plan = compile(model_, options);
    made[i] = {cost_of(plan), alive_at_loss(plan.contents)};
    if (count) count->add(1, true);
  });
  return made;
}

std::vector<FoundScheme> SchemeEvaluator::evaluate(const std::vector<SchemePoint>& points,
                                                   WorkCount* count) {
  std::vector<std::string> keys;
  std::map<std::string, const SchemePoint*> fresh;
  for (const SchemePoint& point : points) {
    keys.push_back(scheme_json(space_, point));
    if (!known_.contains(keys.back())) fresh[keys.back()] = &point;
  }
  const std::vector<std::pair<std::string, const SchemePoint*>> wanted(fresh.begin(), fresh.end());
  std::vector<Cost> made(wanted.size());
  if (count) count->add(points.size() - wanted.size(), false);
  for_each_in_parallel(wanted.size(), threads_, [&](size_t i) {
    made[i] = cost_of(compiled(*wanted[i].second));
    if (count) count->add(1, true);
  });
  for (size_t i = 0; i < wanted.size(); ++i) known_[wanted[i].first] = made[i];
  std::vector<FoundScheme> result;
  for (size_t i = 0; i < points.size(); ++i)
    result.push_back({points[i], gains_.of(points[i]), known_.at(keys[i])});
  return result;
}

}  // namespace attune
