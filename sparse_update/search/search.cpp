#include "sparse_update/search/search.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "graph/error.h"
#include "sparse_update/search/evolution.h"

namespace attune {
namespace {

constexpr size_t kAtATime = 16;  // schemes compiled together; fixed, so that threads decide nothing
constexpr double kCautions[] = {0.1, 0.25, 0.5, 0.75, 1};

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
  Search(const SearchSpace& space, const Gains& gains, const ChoiceCosts& costs,
         SchemeEvaluator& evaluator, const SearchOptions& options, const Progress& progress)
      : space_(space),
        gains_(gains),
        costs_(costs),
        evaluator_(evaluator),
        options_(options),
        progress_(progress),
        limits_(limits_of(options)) {}

  SearchResult run() {
    const SeparableProblem least = costs_.problem(gains_, 0);
    // The classifier alone has the smallest backward pass.
    consider({{frozen_point(space_), 0.0, {}}});
    bool exact = true;
    const std::vector<Solution> optimistic = best_of(least, &exact);
    if (!exact)
      bound_ = std::numeric_limits<double>::infinity();
    else if (!optimistic.empty())
      bound_ = optimistic.front().gain;
    consider(optimistic);
    for (double caution : kCautions) {
      if (done()) break;
      consider(best_of(costs_.problem(gains_, caution)));
    }
    if (!done() && options_.evaluations > 0)
      has_best_ = evolve(space_, gains_, least, limits_, bound_, known_, evaluator_, options_,
                         progress_, &best_) ||
                  has_best_;
    if (!has_best_) fail();
    return {best_, std::max(bound_, best_.gain), evaluator_.evaluations()};
  }

 private:
  bool done() const { return has_best_ && best_.gain >= bound_; }

  // The best of each depth, the most promising first.
  std::vector<Solution> best_of(const SeparableProblem& problem, bool* exact = nullptr) const {
    std::vector<Solution> found;
    for (auto& solution : knapsack_best(problem, limits_, exact))
      if (solution && std::isfinite(solution->gain)) found.push_back(std::move(*solution));
    std::stable_sort(found.begin(), found.end(),
                     [](const Solution& a, const Solution& b) { return a.gain > b.gain; });
    return found;
  }

  // Compiles schemes, the best first, until one fits: those behind it gain no more.
  void consider(const std::vector<Solution>& solutions) {
    for (size_t begin = 0; begin < solutions.size(); begin += kAtATime) {
      std::vector<SchemePoint> points;
      for (size_t i = begin; i < std::min(begin + kAtATime, solutions.size()); ++i)
        if (!has_best_ || solutions[i].gain > best_.gain) points.push_back(solutions[i].point);
      if (points.empty()) return;
      const std::vector<Cost> costs = evaluator_.costs(points);
      for (size_t i = 0; i < points.size(); ++i) add({points[i], gains_.of(points[i]), costs[i]});
    }
  }

  void add(FoundScheme scheme) {
    if (options_.budget.allows(scheme.cost) && (!has_best_ || scheme.gain > best_.gain)) {
      best_ = scheme;
      has_best_ = true;
    }
    known_.push_back(std::move(scheme));
  }

  [[noreturn]] void fail() const {
    const auto nearest = std::min_element(
        known_.begin(), known_.end(), [&](const FoundScheme& a, const FoundScheme& b) {
          return options_.budget.excess(a.cost) < options_.budget.excess(b.cost);
        });
    check_budget(options_.budget, nearest->cost, evaluator_.compiled(nearest->point).contents,
                 "no scheme fits: the smallest plan found (it trains " +
                     scheme_text(space_, nearest->point) + ")");
    throw_error("no scheme fits the budget");
  }

  const SearchSpace& space_;
  const Gains& gains_;
  const ChoiceCosts& costs_;
  SchemeEvaluator& evaluator_;
  const SearchOptions& options_;
  const Progress& progress_;
  Amounts limits_;
  std::vector<FoundScheme> known_;
  FoundScheme best_;
  bool has_best_ = false;
  double bound_ = 0;
};

}  // namespace

ChoiceCosts::ChoiceCosts(const SearchSpace& space, SchemeEvaluator& evaluator,
                         const Progress& progress) {
  using Clock = std::chrono::steady_clock;
  std::vector<SchemePoint> points;
  for (int k = 0; k <= space.depth(); ++k) {
    points.push_back(frozen_point(space));
    points.back().bias_last = k;
  }
  for (size_t l = 0; l < space.layers.size(); ++l)
    for (size_t o = 0; o < space.layers[l].options.size(); ++o) {
      points.push_back(points[space.layers.size() - l]);
      points.back().options[l] = static_cast<int>(o);
    }
  std::vector<Cost> costs;
  const auto start = Clock::now();
  for (size_t begin = 0; begin < points.size(); begin += kAtATime) {
    const auto first = points.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last =
        points.begin() + static_cast<std::ptrdiff_t>(std::min(begin + kAtATime, points.size()));
    for (const Cost& cost : evaluator.costs({first, last})) costs.push_back(cost);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (progress)
      progress("costs", costs.size(), points.size(),
               seconds / static_cast<double>(costs.size()) *
                   static_cast<double>(points.size() - costs.size()));
  }
  size_t next = 0;
  for (int k = 0; k <= space.depth(); ++k) bias_.push_back(costs[next++]);
  for (const SpaceLayer& layer : space.layers) {
    std::vector<Cost> row;
    for (size_t o = 0; o < layer.options.size(); ++o) row.push_back(costs[next++]);
    weight_.push_back(std::move(row));
  }
}

SeparableProblem ChoiceCosts::problem(const Gains& gains, double caution) const {
  SeparableProblem problem;
  problem.bias_gain = gains.bias;
  for (const Cost& cost : bias_)
    problem.bias_cost.push_back({static_cast<int64_t>(cost.ram_bytes()), time_of(cost)});
  const auto part = [&](size_t with, size_t without) {
    const int64_t change = difference(with, without);
    return change <= 0 ? change
                       : static_cast<int64_t>(std::ceil(caution * static_cast<double>(change)));
  };
  for (size_t l = 0; l < weight_.size(); ++l) {
    const Cost& without = bias_[weight_.size() - l];
    std::vector<SeparableProblem::Option> row;
    for (size_t o = 0; o < weight_[l].size(); ++o) {
      const Cost& with = weight_[l][o];
      const int64_t bytes = difference(with.state_bytes, without.state_bytes) +
                            difference(with.session_bytes, without.session_bytes) +
                            part(with.workspace_bytes, without.workspace_bytes) +
                            part(with.arena_bytes, without.arena_bytes);
      row.push_back({gains.weight[l][o], {bytes, time_of(with) - time_of(without)}});
    }
    problem.options.push_back(std::move(row));
  }
  return problem;
}

SearchResult search_scheme(const SearchSpace& space, const Gains& gains, const ChoiceCosts& costs,
                           SchemeEvaluator& evaluator, const SearchOptions& options,
                           const Progress& progress) {
  return Search(space, gains, costs, evaluator, options, progress).run();
}

}  // namespace attune
