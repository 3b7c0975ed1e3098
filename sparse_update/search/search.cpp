#include "sparse_update/search/search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "graph/ir/error.h"
#include "sparse_update/search/evolution.h"

namespace attune {
namespace {

// Schemes compiled together; fixed, so that threads decide nothing.
constexpr size_t kAtATime = 4;
constexpr size_t kPromising = 8;  // solutions of a problem that are compiled
constexpr int kCorrections = 24;

int64_t difference(size_t a, size_t b) { return static_cast<int64_t>(a) - static_cast<int64_t>(b); }

// Nanoseconds of a training step, or its multiply-adds where no speed is known.
int64_t time_of(const Cost& cost) {
  return cost.train_step_ms > 0 ? static_cast<int64_t>(std::min(cost.train_step_ms * 1e6, 9e18))
                                : static_cast<int64_t>(cost.train_macs);
}

Amounts limits_of(const SearchOptions& options) {
  Amounts limits = {kNoLimit, kNoLimit};
  if (options.budget.memory_bytes)
    limits[0] = static_cast<int64_t>(std::min<size_t>(*options.budget.memory_bytes, kNoLimit - 1));
  if (options.budget.latency_ms)
    limits[1] = static_cast<int64_t>(std::min(*options.budget.latency_ms * 1e6, 9e18));
  return limits;
}

class Search {
 public:
  Search(SchemeEvaluator& evaluator, const ChoiceCosts& costs, const SearchOptions& options,
         const Progress& progress)
      : evaluator_(evaluator),
        costs_(costs),
        options_(options),
        progress_(progress),
        limits_(limits_of(options)) {}

  SearchResult run() {
    const SeparableProblem least = costs_.problem(0);
    // The classifier alone has the smallest backward pass.
    consider({{frozen_point(evaluator_.space()), 0.0, {}}});
    bool exact = true;
    const std::vector<Solution> optimistic = best_of(least, &exact);
    if (!exact)
      bound_ = std::numeric_limits<double>::infinity();
    else if (!optimistic.empty())
      bound_ = optimistic.front().gain;
    consider(optimistic);
    if (!done()) correct();
    if (!done() && options_.evaluations > 0)
      best_ = evolve(evaluator_, least, limits_, bound_, known_, options_, progress_);
    if (!best_) fail();
    return {*best_, std::max(bound_, best_->gain), evaluator_.evaluations(), fitting()};
  }

 private:
  std::vector<FoundScheme> fitting() const {
    std::vector<FoundScheme> fit = {*best_};
    for (const FoundScheme& scheme : known_)
      if (options_.budget.allows(scheme.cost) && scheme.point != best_->point)
        fit.push_back(scheme);
    std::stable_sort(fit.begin(), fit.end(),
                     [](const FoundScheme& a, const FoundScheme& b) { return a.gain > b.gain; });
    return fit;
  }

  bool done() const { return best_ && best_->gain >= bound_; }

  // The best of each depth, the most promising first.
  std::vector<Solution> best_of(const SeparableProblem& problem, bool* exact = nullptr) const {
    std::vector<Solution> found;
    for (auto& solution : knapsack_best(problem, limits_, exact))
      if (solution && std::isfinite(solution->gain)) found.push_back(std::move(*solution));
    std::stable_sort(found.begin(), found.end(),
                     [](const Solution& a, const Solution& b) { return a.gain > b.gain; });
    return found;
  }

  // Compiles the promising ones, the best first, until one fits: those behind it gain no more.
  void consider(const std::vector<Solution>& solutions) {
    const size_t count = std::min(kPromising, solutions.size());
    for (size_t begin = 0; begin < count; begin += kAtATime) {
      std::vector<SchemePoint> points;
      for (size_t i = begin; i < std::min(begin + kAtATime, count); ++i)
        if (!best_ || solutions[i].gain > best_->gain) points.push_back(solutions[i].point);
      if (points.empty()) return;
      for (const FoundScheme& scheme : evaluator_.evaluate(points)) add(scheme);
    }
  }

  // How full the arena of several choices is, their own costs do not tell. So the best solution is
  // compiled, by what it really takes the problem is corrected, and solved again: at first for
  // all depths, as it is the forward pass that has room beside what is saved; then for its own.
  void correct() {
    SeparableProblem problem = costs_.problem(1);
    for (int t = 0; t < kCorrections && !done(); ++t) {
      const std::vector<Solution> solutions = best_of(problem);
      if (solutions.empty()) return;
      const Solution& solution = solutions.front();
      if (t > 0 && best_ && solution.gain <= best_->gain) return;
      const FoundScheme scheme = evaluator_.evaluate(solution.point);
      add(scheme);
      const int64_t error = static_cast<int64_t>(scheme.cost.ram_bytes()) - solution.cost[0];
      if (error == 0) return;
      for (size_t k = 0; k < problem.bias_cost.size(); ++k)
        if (t == 0 || static_cast<int>(k) == solution.point.bias_last)
          problem.bias_cost[k][0] += error;
    }
  }

  void add(const FoundScheme& scheme) {
    if (options_.budget.allows(scheme.cost) && (!best_ || scheme.gain > best_->gain))
      best_ = scheme;
    known_.push_back(scheme);
  }

  [[noreturn]] void fail() const {
    const auto nearest = std::min_element(
        known_.begin(), known_.end(), [&](const FoundScheme& a, const FoundScheme& b) {
          return options_.budget.excess(a.cost) < options_.budget.excess(b.cost);
        });
    check_budget(options_.budget, nearest->cost, evaluator_.compiled(nearest->point).contents,
                 "no scheme fits: the smallest plan found (it trains " +
                     scheme_text(evaluator_.space(), nearest->point) + ")");
    throw_error("no scheme fits the budget");
  }

  SchemeEvaluator& evaluator_;
  const ChoiceCosts& costs_;
  const SearchOptions& options_;
  const Progress& progress_;
  Amounts limits_;
  std::vector<FoundScheme> known_;
  std::optional<FoundScheme> best_;
  double bound_ = 0;
};

}  // namespace

ChoiceCosts::ChoiceCosts(SchemeEvaluator& evaluator, const Progress& progress)
    : gains_(evaluator.gains()) {
  const SearchSpace& space = evaluator.space();
  const std::vector<SchemePoint> points = single_choices(space, true);
  const auto biases = points.begin() + space.depth() + 1;  // where weights begin
  WorkCount count(progress, "costs", points.size() + static_cast<size_t>(space.depth()) + 1);
  const std::vector<PlainCost> plain = evaluator.plain_costs(points, &count);
  for (const FoundScheme& scheme : evaluator.evaluate({points.begin(), biases}, &count))
    bias_.push_back(scheme.cost);
  auto next = plain.begin() + space.depth() + 1;
  plain_bias_.assign(plain.begin(), next);
  for (const SpaceLayer& layer : space.layers) {
    weight_.emplace_back(next, next + std::ssize(layer.options));
    next += std::ssize(layer.options);
  }
}

SeparableProblem ChoiceCosts::problem(double caution) const {
  SeparableProblem problem;
  problem.bias_gain = gains_.bias;
  for (const Cost& cost : bias_)
    problem.bias_cost.push_back({static_cast<int64_t>(cost.ram_bytes()), time_of(cost)});
  const auto part = [&](int64_t change) {
    return change <= 0 ? change
                       : static_cast<int64_t>(std::ceil(caution * static_cast<double>(change)));
  };
  for (size_t l = 0; l < weight_.size(); ++l) {
    const PlainCost& plain = plain_bias_[weight_.size() - l];
    const Cost& without = plain.cost;
    std::vector<SeparableProblem::Option> row;
    for (size_t o = 0; o < weight_[l].size(); ++o) {
      const Cost& with = weight_[l][o].cost;
      const int64_t bytes = difference(with.state_bytes, without.state_bytes) +
                            difference(with.session_bytes, without.session_bytes) +
                            part(difference(with.workspace_bytes, without.workspace_bytes)) +
                            part(weight_[l][o].saved_bytes - plain.saved_bytes);
      row.push_back({gains_.weight[l][o], {bytes, time_of(with) - time_of(without)}});
    }
    problem.options.push_back(std::move(row));
  }
  return problem;
}

SearchResult search_scheme(SchemeEvaluator& evaluator, const ChoiceCosts& costs,
                           const SearchOptions& options, const Progress& progress) {
  return Search(evaluator, costs, options, progress).run();
}

}  // namespace attune
