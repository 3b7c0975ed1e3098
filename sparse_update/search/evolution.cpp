#include "sparse_update/search/evolution.h"

#include <algorithm>
#include <set>

#include "engine/random.h"
#include "sparse_update/search/mutation.h"

namespace attune {
namespace {

constexpr size_t kPopulation = 32;
constexpr size_t kGeneration = 16;  // schemes compiled at a time
constexpr int kBarren = 12;         // generations without anything better that end the search
constexpr int kTries = 400;         // offspring made for a generation, most of which cannot win

class Evolution {
 public:
  Evolution(const SearchSpace& space, const Gains& gains, const SeparableProblem& least,
            const Amounts& limits, const SearchOptions& options)
      : space_(space),
        gains_(gains),
        least_(least),
        limits_(limits),
        budget_(options.budget),
        random_(options.seed, 0) {}

  void add(FoundScheme scheme) {
    seen_.insert(scheme_json(space_, scheme.point));
    if (budget_.allows(scheme.cost) && (!has_best_ || better(scheme, best_))) {
      best_ = scheme;
      has_best_ = true;
    }
    population_.push_back(std::move(scheme));
  }

  bool has_best() const { return has_best_; }
  const FoundScheme& best() const { return best_; }

  // The fittest stay: those that fit by their gain, before those that do not by how far they are.
  void select() {
    std::stable_sort(population_.begin(), population_.end(),
                     [&](const FoundScheme& a, const FoundScheme& b) {
                       const double x = excess(a.cost), y = excess(b.cost);
                       if (x != y) return x < y;
                       return a.gain > b.gain;
                     });
    if (population_.size() > kPopulation) population_.resize(kPopulation);
  }

  // New schemes that may win.
  std::vector<SchemePoint> offspring() {
    std::vector<SchemePoint> made;
    for (int t = 0; t < kTries && made.size() < kGeneration; ++t) {
      SchemePoint child = pick();
      if (random_.below(3) == 0) cross(child, pick());
      const uint64_t mutations = 1 + random_.below(3);
      for (uint64_t m = 0; m < mutations; ++m) mutate(space_, child, random_);
      trim(child);
      if (has_best_ && gains_.of(child) <= best_.gain) continue;
      if (!may_fit(child) || !seen_.insert(scheme_json(space_, child)).second) continue;
      made.push_back(std::move(child));
    }
    return made;
  }

 private:
  bool better(const FoundScheme& a, const FoundScheme& b) const {
    if (a.gain != b.gain) return a.gain > b.gain;
    return a.cost.ram_bytes() < b.cost.ram_bytes();
  }

  // How far over the budget, as a share of it, all limits together.
  double excess(const Cost& cost) const {
    double over = 0;
    const auto add = [&](double used, double limit) {
      if (used > limit) over += used / limit - 1;
    };
    if (budget_.memory_bytes)
      add(static_cast<double>(cost.ram_bytes()), static_cast<double>(*budget_.memory_bytes));
    if (budget_.flash_bytes)
      add(static_cast<double>(cost.flash_bytes()), static_cast<double>(*budget_.flash_bytes));
    if (budget_.latency_ms) add(cost.train_step_ms, *budget_.latency_ms);
    return over;
  }

  bool may_fit(const SchemePoint& point) const {
    Amounts sum = least_.bias_cost[static_cast<size_t>(point.bias_last)];
    for (size_t l = 0; l < point.options.size(); ++l)
      if (point.options[l] >= 0)
        for (size_t i = 0; i < kAmounts; ++i)
          sum[i] += least_.options[l][static_cast<size_t>(point.options[l])].cost[i];
    for (size_t i = 0; i < kAmounts; ++i)
      if (limits_[i] != kNoLimit && sum[i] > limits_[i]) return false;
    return true;
  }

  // The better of two.
  const SchemePoint& pick() {
    const size_t a = random_.below(population_.size()), b = random_.below(population_.size());
    return population_[std::min(a, b)].point;
  }

  void cross(SchemePoint& child, const SchemePoint& other) {
    if (random_.below(2) == 0) child.bias_last = other.bias_last;
    for (size_t l = 0; l < child.options.size(); ++l)
      if (random_.below(2) == 0) child.options[l] = other.options[l];
  }

  const SearchSpace& space_;
  const Gains& gains_;
  const SeparableProblem& least_;
  Amounts limits_;
  Budget budget_;
  Random random_;
  std::vector<FoundScheme> population_;
  std::set<std::string> seen_;
  FoundScheme best_;
  bool has_best_ = false;
};

}  // namespace

bool evolve(const SearchSpace& space, const Gains& gains, const SeparableProblem& least,
            const Amounts& limits, double bound, std::vector<FoundScheme> known,
            SchemeEvaluator& evaluator, const SearchOptions& options, const Progress& progress,
            FoundScheme* found) {
  Evolution evolution(space, gains, least, limits, options);
  for (FoundScheme& scheme : known) evolution.add(std::move(scheme));
  size_t compiled = 0;
  int barren = 0;
  while (compiled < options.evaluations && barren < kBarren &&
         !(evolution.has_best() && evolution.best().gain >= bound)) {
    evolution.select();
    const double before = evolution.has_best() ? evolution.best().gain : 0;
    const bool had_best = evolution.has_best();
    std::vector<SchemePoint> points = evolution.offspring();
    points.resize(std::min(points.size(), options.evaluations - compiled));
    if (points.empty()) break;
    const std::vector<Cost> costs = evaluator.costs(points);
    for (size_t i = 0; i < points.size(); ++i)
      evolution.add({points[i], gains.of(points[i]), costs[i]});
    compiled += points.size();
    const bool improved = evolution.has_best() && (!had_best || evolution.best().gain > before);
    barren = improved ? 0 : barren + 1;
    if (progress) progress("evolution", compiled, options.evaluations, -1);
  }
  if (evolution.has_best()) *found = evolution.best();
  return evolution.has_best();
}

}  // namespace attune
