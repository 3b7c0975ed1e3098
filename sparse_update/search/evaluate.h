#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "sparse_update/cost/cost.h"
#include "sparse_update/pipeline/compile.h"
#include "sparse_update/sensitivity/space.h"

namespace attune {

// What a scheme takes where nothing is tiled, and its activations that are alive when the loss is
// computed. Tiling makes the forward pass smaller, not these.
struct PlainCost {
  Cost cost;
  int64_t saved_bytes = 0;
};

// What schemes really take: each is compiled once, by the whole pipeline, and not written.
class SchemeEvaluator {
 public:
  // All must outlive the evaluator.
  SchemeEvaluator(const Model& model, const CompileOptions& options, const SearchSpace& space,
                  CostModel& cost_model, int threads);

  Cost cost(const SchemePoint& point) { return costs({point}).front(); }
  // Of several schemes, compiled at the same time.
  std::vector<Cost> costs(const std::vector<SchemePoint>& points);
  // Far quicker than costs() where these are of tiled plans. Not kept.
  std::vector<PlainCost> plain_costs(const std::vector<SchemePoint>& points);
  Compiled compiled(const SchemePoint& point) const;

  // Schemes compiled so far.
  size_t evaluations() const { return known_.size(); }

 private:
  Cost cost_of(const Compiled& plan);

  const Model& model_;
  const CompileOptions& options_;
  const SearchSpace& space_;
  CostModel& cost_model_;  // one caller at a time: it takes far less time than compiling
  std::mutex cost_model_mutex_;
  int threads_;
  std::map<std::string, Cost> known_;  // by scheme
};

}  // namespace attune
