#include "sparse_update/search/evolution.h"

#include <algorithm>
#include <set>

namespace attune {
namespace {

constexpr size_t kPopulation = 32;
constexpr size_t kGeneration = 16;  // schemes compiled at a time
constexpr int kBarren = 12;         // generations without anything better that end the search
constexpr int kOffspring = 400;     // offspring made for a generation, most of which cannot win

class Evolution {
 public:
  Evolution(const SchemeEvaluator& evaluator, const SeparableProblem& least, const Amounts& limits,
            const SearchOptions& options)
      : space_(evaluator.space()),
        gains_(evaluator.gains()),
        least_(least),
        limits_(limits),
        budget_(options.budget),
        random_(options.seed, 0) {}

  void add(const FoundScheme& scheme) {
    seen_.insert(scheme_json(space_, scheme.point));
    if (budget_.allows(scheme.cost) && (!best_ || better(scheme, *best_))) best_ = scheme;
    population_.push_back(scheme);
  }

  const std::optional<FoundScheme>& best() const { return best_; }

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
    for (int t = 0; t < kOffspring && made.size() < kGeneration; ++t) {
      SchemePoint child = pick();
      if (random_.below(3) == 0) cross(child, pick());
      const uint64_t mutations = 1 + random_.below(3);
      for (uint64_t m = 0; m < mutations; ++m) mutate(space_, child, random_);
      trim(child);
      if (best_ && gains_.of(child) <= best_->gain) continue;
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
    for (double share : budget_.shares(cost))
      if (share > 1) over += share - 1;
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
  std::optional<FoundScheme> best_;
};

}  // namespace

void mutate(const SearchSpace& space, SchemePoint& point, Random& random) {
  const auto depth = static_cast<uint64_t>(space.depth());
  if (random.below(4) == 0) {
    const auto step = static_cast<int>(random.below(random.below(4) == 0 ? depth + 1 : 4));
    point.bias_last += random.below(2) == 0 ? step : -step;
    point.bias_last = std::clamp(point.bias_last, 0, space.depth());
    return;
  }
  if (point.bias_last == 0) return;
  const size_t layer = depth - 1 - random.below(static_cast<uint64_t>(point.bias_last));
  const uint64_t options = space.layers[layer].options.size();
  point.options[layer] = static_cast<int>(random.below(options + 1)) - 1;
}

void trim(SchemePoint& point) {
  const size_t first = point.options.size() - static_cast<size_t>(point.bias_last);
  std::fill(point.options.begin(), point.options.begin() + static_cast<std::ptrdiff_t>(first), -1);
}

std::optional<FoundScheme> evolve(SchemeEvaluator& evaluator, const SeparableProblem& least,
                                  const Amounts& limits, double bound,
                                  const std::vector<FoundScheme>& known,
                                  const SearchOptions& options, const Progress& progress) {
  Evolution evolution(evaluator, least, limits, options);
  for (const FoundScheme& scheme : known) evolution.add(scheme);
  size_t compiled = 0;
  int barren = 0;
  while (compiled < options.evaluations && barren < kBarren &&
         !(evolution.best() && evolution.best()->gain >= bound)) {
    evolution.select();
    const std::optional<FoundScheme> before = evolution.best();
    std::vector<SchemePoint> points = evolution.offspring();
    points.resize(std::min(points.size(), options.evaluations - compiled));
    if (points.empty()) break;
    for (const FoundScheme& scheme : evaluator.evaluate(points)) evolution.add(scheme);
    compiled += points.size();
    const bool improved = evolution.best() && (!before || evolution.best()->gain > before->gain);
    barren = improved ? 0 : barren + 1;
    if (progress) progress("evolution", compiled, options.evaluations, -1);
  }
  return evolution.best();
}

}  // namespace attune
