#include "sparse_update/search/evaluate.h"

#include "sparse_update/parallel.h"
#include "sparse_update/plan_memory.h"

namespace attune {

SchemeEvaluator::SchemeEvaluator(const OnnxModel& model, const CompileOptions& options,
                                 const SearchSpace& space, const CostSettings& settings,
                                 int threads)
    : model_(model), options_(options), space_(space), settings_(settings), threads_(threads) {}

Compiled SchemeEvaluator::compiled(const SchemePoint& point) const {
  CompileOptions options = options_;
  options.scheme = scheme_json(space_, point);
  return compile(model_, options);
}

std::vector<PlanCost> SchemeEvaluator::costs(const std::vector<SchemePoint>& points) {
  std::vector<std::string> keys;
  std::map<std::string, const SchemePoint*> fresh;
  for (const SchemePoint& point : points) {
    keys.push_back(scheme_json(space_, point));
    if (!known_.contains(keys.back())) fresh[keys.back()] = &point;
  }
  const std::vector<std::pair<std::string, const SchemePoint*>> wanted(fresh.begin(), fresh.end());
  std::vector<PlanCost> made(wanted.size());
  for_each_in_parallel(wanted.size(), threads_, [&](size_t i) {
    const PlanInMemory loaded(compiled(*wanted[i].second).plan, model_.path());
    made[i] = plan_cost(loaded.plan(), settings_);
  });
  for (size_t i = 0; i < wanted.size(); ++i) known_[wanted[i].first] = made[i];
  std::vector<PlanCost> result;
  for (const std::string& key : keys) result.push_back(known_.at(key));
  return result;
}

}  // namespace attune
