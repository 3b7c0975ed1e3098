#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "sparse_update/compile.h"
#include "sparse_update/cost/cost.h"
#include "sparse_update/sensitivity/space.h"

namespace attune {

// What schemes really take: each is compiled once, by the whole pipeline, and not written.
class SchemeEvaluator {
 public:
  // All must outlive the evaluator.
  SchemeEvaluator(const OnnxModel& model, const CompileOptions& options, const SearchSpace& space,
                  CostModel& cost_model, int threads);

  Cost cost(const SchemePoint& point) { return costs({point}).front(); }
  // Of several schemes, compiled at the same time.
  std::vector<Cost> costs(const std::vector<SchemePoint>& points);
  Compiled compiled(const SchemePoint& point) const;

  // Schemes compiled so far.
  size_t evaluations() const { return known_.size(); }

 private:
  const OnnxModel& model_;
  const CompileOptions& options_;
  const SearchSpace& space_;
  CostModel& cost_model_;  // one caller at a time: it takes far less time than compiling
  std::mutex cost_model_mutex_;
  int threads_;
  std::map<std::string, Cost> known_;  // by scheme
};

}  // namespace attune
