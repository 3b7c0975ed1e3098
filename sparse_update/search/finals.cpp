#include "sparse_update/search/finals.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <set>

#include "graph/error.h"
#include "sparse_update/parallel.h"
#include "sparse_update/search/mutation.h"

namespace attune {
namespace {

constexpr int kRateSteps = 6;  // factors of 2 from the given rate, in either direction
constexpr int kSeeds = 3;      // of those that may win
constexpr size_t kParents = 3;
constexpr int kTries = 400;  // mutations made for the second round
constexpr double kShares[] = {0, 0.125, 0.25, 0.5, 1};

// The biases of the last k layers, and of each of their weights the share, or what comes next.
SchemePoint plain_point(const SearchSpace& space, int k, double share) {
  SchemePoint point = frozen_point(space);
  point.bias_last = k;
  if (share == 0) return point;
  const size_t depth = space.layers.size();
  for (size_t l = depth - static_cast<size_t>(k); l < depth; ++l) {
    const std::vector<WeightOption>& options = space.layers[l].options;
    if (options.empty()) continue;
    const auto larger = std::find_if(options.begin(), options.end(),
                                     [&](const WeightOption& o) { return o.ratio > share; });
    point.options[l] = std::max(0, static_cast<int>(larger - options.begin()) - 1);
  }
  return point;
}

class Finals {
 public:
  Finals(const OnnxModel& model, const CompileOptions& options, const SearchSpace& space,
         const Gains& gains, SchemeEvaluator& evaluator, const Budget& budget,
         TaskExamples& examples, const FinalsOptions& finals, const Progress& progress)
      : space_(space),
        gains_(gains),
        evaluator_(evaluator),
        budget_(budget),
        examples_(examples),
        finals_(finals),
        progress_(progress),
        tuner_(model, options, finals.measure.cache),
        by_loss_(options.loss != Loss::cross_entropy) {}

  std::vector<Finalist> run(const std::vector<FoundScheme>& found) {
    fine_tune(first_round(found));
    std::vector<FoundScheme> mutants = mutations();
    if (!mutants.empty()) fine_tune(mutants);
    retry();
    if (diverged(entered_.front().reached))
      throw_error("--learning-rate {}: every finalist diverges; give a smaller one",
                  finals_.measure.rate);
    return std::move(entered_);
  }

 private:
  bool better(const Reached& a, const Reached& b) const {
    if (!by_loss_ && a.accuracy != b.accuracy) return a.accuracy > b.accuracy;
    return a.loss < b.loss;
  }

  static bool diverged(const Reached& reached) { return std::isinf(reached.loss); }

  void sort() {
    std::stable_sort(entered_.begin(), entered_.end(), [&](const Finalist& a, const Finalist& b) {
      return better(a.reached, b.reached);
    });
  }

  bool is_new(const SchemePoint& point) { return seen_.insert(scheme_json(space_, point)).second; }

  // The largest k of which the share fits, for every share at once; a larger k takes no less.
  std::vector<FoundScheme> plain_schemes() {
    struct Range {
      int low = 0, high = 0;
    };
    std::vector<Range> ranges(std::size(kShares), {0, space_.depth()});
    for (bool open = true; open;) {
      std::vector<SchemePoint> points;
      const auto middle = [](const Range& range) { return (range.low + range.high + 1) / 2; };
      for (size_t s = 0; s < ranges.size(); ++s)
        points.push_back(plain_point(space_, middle(ranges[s]), kShares[s]));
      const std::vector<Cost> costs = evaluator_.costs(points);
      open = false;
      for (size_t s = 0; s < ranges.size(); ++s) {
        if (ranges[s].low == ranges[s].high) continue;
        if (budget_.allows(costs[s]))
          ranges[s].low = middle(ranges[s]);
        else
          ranges[s].high = middle(ranges[s]) - 1;
        open = open || ranges[s].low < ranges[s].high;
      }
    }
    std::vector<SchemePoint> points;
    for (size_t s = ranges.size(); s-- > 0;) {
      // Training less is sometimes better.
      for (const int k : {ranges[s].low, (2 * ranges[s].low + 1) / 3})
        points.push_back(plain_point(space_, k, kShares[s]));
    }
    return those_that_fit(points);
  }

  std::vector<FoundScheme> those_that_fit(const std::vector<SchemePoint>& points) {
    const std::vector<Cost> costs = evaluator_.costs(points);
    std::vector<FoundScheme> fitting;
    for (size_t i = 0; i < points.size(); ++i)
      if (budget_.allows(costs[i])) fitting.push_back({points[i], gains_.of(points[i]), costs[i]});
    return fitting;
  }

  // In turns: the largest gain of a number of biases, and a plain scheme.
  std::vector<FoundScheme> first_round(const std::vector<FoundScheme>& found) {
    std::vector<FoundScheme> searched;
    std::set<int> depths;
    for (const FoundScheme& scheme : found)
      if (depths.insert(scheme.point.bias_last).second) searched.push_back(scheme);
    const std::vector<FoundScheme> plain = plain_schemes();
    const std::vector<FoundScheme>* const lists[] = {&searched, &plain};
    std::vector<FoundScheme> chosen;
    for (size_t i = 0; i < std::max(searched.size(), plain.size()); ++i)
      for (const std::vector<FoundScheme>* list : lists)
        if (i < list->size() && chosen.size() < finals_.finalists && is_new((*list)[i].point))
          chosen.push_back((*list)[i]);
    return chosen;
  }

  std::vector<FoundScheme> mutations() {
    Random random(finals_.measure.seed, 1);
    const size_t parents = std::min(kParents, entered_.size());
    std::vector<FoundScheme> made;
    int tries = 0;
    while (tries < kTries && made.size() < finals_.finalists) {
      std::vector<SchemePoint> points;
      for (; tries < kTries && made.size() + points.size() < finals_.finalists; ++tries) {
        SchemePoint point = entered_[random.below(parents)].scheme.point;
        for (uint64_t m = 0; m < 1 + random.below(3); ++m) mutate(space_, point, random);
        trim(point);
        if (is_new(point)) points.push_back(std::move(point));
      }
      for (FoundScheme& scheme : those_that_fit(points)) made.push_back(std::move(scheme));
    }
    return made;
  }

  // The mean of a run with either half to train with.
  Reached reached(const std::string& scheme, double rate, uint64_t seed) {
    FineTuning how = finals_.measure;
    how.rate = rate;
    how.seed = seed;
    const Reached a = tuner_.run(scheme, *examples_.training, *examples_.validation, how);
    const Reached b = tuner_.run(scheme, *examples_.validation, *examples_.training, how);
    return {(a.accuracy + b.accuracy) / 2, (a.loss + b.loss) / 2};
  }

  // Up from the given rate as long as that helps; if it does not at once, down, and on to where
  // training does not diverge.
  Finalist climb(const FoundScheme& scheme) {
    const std::string json = scheme_json(space_, scheme.point);
    const auto at = [&](int step) {
      return reached(json, std::ldexp(finals_.measure.rate, step), finals_.measure.seed);
    };
    int best = 0;
    Reached most = at(0);
    for (const int direction : {1, -1}) {
      if (direction == 1 && diverged(most)) continue;
      while (std::abs(best) < kRateSteps) {
        const Reached next = at(best + direction);
        if (!better(next, most) && !diverged(most)) break;
        most = next;
        best += direction;
      }
      if (best != 0) break;
    }
    return {scheme, std::ldexp(finals_.measure.rate, best), most, 1};
  }

  void fine_tune(const std::vector<FoundScheme>& schemes) {
    std::vector<Finalist> made(schemes.size());
    in_parallel(schemes.size(), [&](size_t i) { made[i] = climb(schemes[i]); });
    entered_.insert(entered_.end(), made.begin(), made.end());
    sort();
  }

  // A single seed may have been lucky: the best third runs with more of them, and so does whatever
  // is ahead of these then.
  void retry() {
    for (size_t count = (entered_.size() + 2) / 3; count > 0;) {
      std::vector<Finalist*> again;
      for (size_t i = 0; i < count; ++i)
        if (entered_[i].seeds == 1) again.push_back(&entered_[i]);
      in_parallel(again.size(), [&](size_t i) { run_further_seeds(again[i]); });
      sort();
      const auto behind = std::find_if(entered_.begin(), entered_.end(),
                                       [](const Finalist& f) { return f.seeds > 1; });
      count = static_cast<size_t>(behind - entered_.begin());
    }
  }

  void run_further_seeds(Finalist* finalist) {
    const std::string json = scheme_json(space_, finalist->scheme.point);
    Reached& sum = finalist->reached;
    for (; finalist->seeds < kSeeds; ++finalist->seeds) {
      const Reached next = reached(json, finalist->rate,
                                   finals_.measure.seed + static_cast<uint64_t>(finalist->seeds));
      sum.accuracy += next.accuracy;
      sum.loss += next.loss;
    }
    sum.accuracy /= kSeeds;
    sum.loss /= kSeeds;
  }

  template <class F>
  void in_parallel(size_t count, F&& f) {
    std::mutex reporting;
    size_t done = 0;
    for_each_in_parallel(count, finals_.measure.threads, [&](size_t i) {
      f(i);
      const std::lock_guard lock(reporting);
      ++done;
      if (progress_) progress_("finals", done, count, -1);
    });
  }

  const SearchSpace& space_;
  const Gains& gains_;
  SchemeEvaluator& evaluator_;
  const Budget& budget_;
  TaskExamples& examples_;
  const FinalsOptions& finals_;
  const Progress& progress_;
  FineTuner tuner_;
  bool by_loss_;
  std::set<std::string> seen_;
  std::vector<Finalist> entered_;  // the best first
};

}  // namespace

std::vector<Finalist> hold_finals(const OnnxModel& model, const CompileOptions& options,
                                  const SearchSpace& space, const Gains& gains,
                                  const std::vector<FoundScheme>& found, SchemeEvaluator& evaluator,
                                  const Budget& budget, TaskExamples& examples,
                                  const FinalsOptions& finals, const Progress& progress) {
  return Finals(model, options, space, gains, evaluator, budget, examples, finals, progress)
      .run(found);
}

}  // namespace attune
