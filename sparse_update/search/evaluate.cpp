#include "sparse_update/search/evaluate.h"

#include "sparse_update/parallel.h"

namespace attune {

SchemeEvaluator::SchemeEvaluator(const OnnxModel& model, const CompileOptions& options,
                                 const SearchSpace& space, CostModel& cost_model, int threads)
    : model_(model), options_(options), space_(space), cost_model_(cost_model), threads_(threads) {}

Compiled SchemeEvaluator::compiled(const SchemePoint& point) const {
  CompileOptions options = options_;
  options.scheme = scheme_json(space_, point);
  return compile(model_, options);
}

std::vector<Cost> SchemeEvaluator::costs(const std::vector<SchemePoint>& points) {
  std::vector<std::string> keys;
  std::map<std::string, const SchemePoint*> fresh;
  for (const SchemePoint& point : points) {
    keys.push_back(scheme_json(space_, point));
    if (!known_.contains(keys.back())) fresh[keys.back()] = &point;
  }
  const std::vector<std::pair<std::string, const SchemePoint*>> wanted(fresh.begin(), fresh.end());
  std::vector<Cost> made(wanted.size());
  for_each_in_parallel(wanted.size(), threads_, [&](size_t i) {
    const Compiled plan = compiled(*wanted[i].second);
    const std::lock_guard lock(cost_model_mutex_);
    made[i] = cost_model_.cost(plan.contents);
  });
  for (size_t i = 0; i < wanted.size(); ++i) known_[wanted[i].first] = made[i];
  std::vector<Cost> result;
  for (const std::string& key : keys) result.push_back(known_.at(key));
  return result;
}

}  // namespace attune
