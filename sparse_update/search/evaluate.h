#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "sparse_update/cost/cost.h"
#include "sparse_update/pipeline/compile.h"
#include "sparse_update/progress.h"
#include "sparse_update/sensitivity/gains.h"
#include "sparse_update/sensitivity/space.h"

namespace attune {

// A scheme, what it is expected to gain, and what it takes.
struct FoundScheme {
  SchemePoint point;
  double gain = 0;
  Cost cost;
};

// What a scheme takes where nothing is tiled, and its activations that are alive when the loss is
// computed. Tiling makes the forward pass smaller, not these.
struct PlainCost {
  Cost cost;
  int64_t saved_bytes = 0;
};

// The schemes of a space: what they are expected to gain, and what they really take. Each is
// compiled once, by the whole pipeline, and not written.
class SchemeEvaluator {
 public:
  // All must outlive the evaluator.
  SchemeEvaluator(const Model& model, const CompileOptions& options, const SearchSpace& space,
                  const Gains& gains, CostModel& cost_model, int threads);

  const SearchSpace& space() const { return space_; }
  const Gains& gains() const { return gains_; }
  FoundScheme evaluate(const SchemePoint& point) { return evaluate(std::vector{point}).front(); }
  // Several schemes, compiled at the same time. `count` may be null.
  std::vector<FoundScheme> evaluate(const std::vector<SchemePoint>& points,
                                    WorkCount* count = nullptr);
  // Far quicker where evaluate() compiles tiled plans. Not kept.
  std::vector<PlainCost> plain_costs(const std::vector<SchemePoint>& points, WorkCount* count);
  Compiled compiled(const SchemePoint& point) const;

  // Schemes compiled so far.
  size_t evaluations() const { return known_.size(); }

 private:
  Cost cost_of(const Compiled& plan);

  const Model& model_;
  const CompileOptions& options_;
  const SearchSpace& space_;
  const Gains& gains_;
  CostModel& cost_model_;  // one caller at a time: it takes far less time than compiling
  std::mutex cost_model_mutex_;
  int threads_;
  std::map<std::string, Cost> known_;  // by scheme
};

}  // namespace attune
