#include "sparse_update/search/finals.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <set>

#include "graph/ir/error.h"
#include "graph/training/loss.h"
#include "sparse_update/parallel.h"
#include "sparse_update/search/mutation.h"

namespace attune {
namespace {

constexpr int kRateSteps = 6;  // factors of 2 from the given rate, in either direction
constexpr int kSeeds = 3;      // of those that may win
constexpr int kLonger = 3;     // times as many steps for these
// Of fewer examples, half are another task than all, and one more or less that is right decides.
constexpr int64_t kFewExamples = 1000;
constexpr int64_t kFolds = 4;
constexpr size_t kParents = 3;
constexpr int kGenerations = 2;  // of mutations
constexpr int kTries = 200;      // mutations made for a generation
constexpr int kFillings = 3;     // times that filling goes on behind a raise that does not fit

// Schemes that a person would try: a share of the weights of n layers, or of those of them that
// expand. These are the last n, whose biases are trained, or the first n of a given part whose
// biases are. Lin et al. (arXiv 2206.15472, section 3.2) find that the convolutions that expand
// gain the most for their size, and train those in the middle of the network.
struct PlainFamily {
  double share = 0;
  bool only_expanding = false;
  double part = 0;  // of the layers, whose biases are trained; 0: of the last n
};
constexpr PlainFamily kPlainFamilies[] = {
    {1, false},
    {1, true, 1.0 / 2},
    {1, true},
    {1, true, 2.0 / 3},
    {0.25, false},
    {0.5, true, 1.0 / 2},
    {0.25, true},
    {0.5, true, 2.0 / 3},
    {0.25, true, 1.0 / 2},
    {0.25, true, 2.0 / 3},
    {0.125, false},
    {0.5, true},
    {0.5, false},
    {0, false},
};

SchemePoint plain_point(const SearchSpace& space, int n, const PlainFamily& family) {
  SchemePoint point = frozen_point(space);
  const int depth = space.depth();
  const auto expands = [](const SpaceLayer& layer) { return layer.expands; };
  const bool some_expand = std::any_of(space.layers.begin(), space.layers.end(), expands);
  point.bias_last = family.part == 0 ? n : static_cast<int>(std::lround(family.part * depth));
  const int first = depth - point.bias_last;
  for (int l = first; l < std::min(first + n, depth) && family.share > 0; ++l) {
    const SpaceLayer& layer = space.layers[static_cast<size_t>(l)];
    if (layer.options.empty() || (family.only_expanding && some_expand && !layer.expands)) continue;
    const auto larger =
        std::find_if(layer.options.begin(), layer.options.end(),
                     [&](const WeightOption& option) { return option.ratio > family.share; });
    point.options[static_cast<size_t>(l)] =
        std::max(0, static_cast<int>(larger - layer.options.begin()) - 1);
  }
  return point;
}

class Finals {
 public:
  Finals(const Model& model, const CompileOptions& options, const SearchSpace& space,
         const Gains& gains, SchemeEvaluator& evaluator, const Budget& budget,
         const ExamplesInMemory& examples, const FinalsOptions& finals, const Progress& progress)
      : space_(space),
        gains_(gains),
        evaluator_(evaluator),
        budget_(budget),
        finals_(finals),
        progress_(progress),
        tuner_(model, options, finals.measure.cache),
        classifies_(options.loss == Loss::cross_entropy),
        few_(examples.size() < kFewExamples),
        chance_(classifies_ ? std::log(class_count(forward_graph(model, options, 1))) : 0),
        halves_(halves(examples)) {
    for (uint64_t seed = 0; seed < kSeeds; ++seed)
      longer_.push_back(
          examples.size() < kFewExamples
              ? folds(examples, std::min(kFolds, examples.size()), finals.measure.seed + seed)
              : halves_);
  }

  std::vector<Finalist> run(const std::vector<FoundScheme>& found) {
    fine_tune(first_round(found));
    Random random(finals_.measure.seed, 1);
    for (size_t made = 0, g = 1; g <= kGenerations; ++g) {
      const size_t wanted = finals_.finalists * g / kGenerations - made;
      const std::vector<FoundScheme> mutants = mutations(wanted, random);
      if (!mutants.empty()) fine_tune(mutants);
      made += wanted;
    }
    retry();
    if (diverged(entered_.front().reached))
      throw_error("--learning-rate {}: every finalist diverges; give a smaller one",
                  finals_.measure.rate);
    return std::move(entered_);
  }

 private:
  // Of few examples the loss tells more than how many are right. But not where it is above that of
  // guessing: there what has learned the least comes nearest to it.
  bool better(const Reached& a, const Reached& b) const {
    if (!classifies_) return a.loss < b.loss;
    if (few_) {
      if ((a.loss < chance_) != (b.loss < chance_)) return a.loss < chance_;
      if (a.loss < chance_) return a.loss < b.loss;
    }
    return a.accuracy != b.accuracy ? a.accuracy > b.accuracy : a.loss < b.loss;
  }

  static bool diverged(const Reached& reached) { return std::isinf(reached.loss); }

  void sort() {
    std::stable_sort(entered_.begin(), entered_.end(), [&](const Finalist& a, const Finalist& b) {
      if (diverged(a.reached) != diverged(b.reached)) return diverged(b.reached);
      return a.runs != b.runs ? a.runs > b.runs : better(a.reached, b.reached);
    });
  }

  bool is_new(const SchemePoint& point) { return seen_.insert(scheme_json(space_, point)).second; }

  // Of every family that with the largest n that fits, then, as training less is sometimes better,
  // that with two thirds of it. A larger n takes no less.
  std::vector<FoundScheme> plain_schemes() {
    constexpr size_t kFamilies = std::size(kPlainFamilies);
    const auto point = [&](size_t f, int n) { return plain_point(space_, n, kPlainFamilies[f]); };
    int low[kFamilies] = {}, high[kFamilies];
    std::fill(std::begin(high), std::end(high), space_.depth());
    while (!std::equal(std::begin(low), std::end(low), std::begin(high))) {
      std::vector<SchemePoint> points;
      for (size_t f = 0; f < kFamilies; ++f) points.push_back(point(f, (low[f] + high[f] + 1) / 2));
      const std::vector<Cost> costs = evaluator_.costs(points);
      for (size_t f = 0; f < kFamilies; ++f) {
        const int middle = (low[f] + high[f] + 1) / 2;
        if (budget_.allows(costs[f]))
          low[f] = std::max(low[f], middle);
        else
          high[f] = middle - 1;
      }
    }
    std::vector<SchemePoint> points;
    for (size_t f = 0; f < kFamilies; ++f) points.push_back(point(f, low[f]));
    for (size_t f = 0; f < kFamilies; ++f) points.push_back(point(f, (2 * low[f] + 1) / 3));
    return those_that_fit(points);
  }

  std::vector<FoundScheme> those_that_fit(const std::vector<SchemePoint>& points) {
    const std::vector<Cost> costs = evaluator_.costs(points);
    std::vector<FoundScheme> fitting;
    for (size_t i = 0; i < points.size(); ++i)
      if (budget_.allows(costs[i])) fitting.push_back({points[i], gains_.of(points[i]), costs[i]});
    return fitting;
  }

  // In turns: the largest gain of a number of biases, and two plain schemes.
  std::vector<FoundScheme> first_round(const std::vector<FoundScheme>& found) {
    std::vector<FoundScheme> searched;
    std::set<int> depths;
    for (const FoundScheme& scheme : found)
      if (depths.insert(scheme.point.bias_last).second) searched.push_back(scheme);
    const std::vector<FoundScheme> plain = plain_schemes();
    std::vector<FoundScheme> chosen;
    const auto enter = [&](const std::vector<FoundScheme>& list, size_t i) {
      if (i < list.size() && chosen.size() < finals_.finalists && is_new(list[i].point))
        chosen.push_back(list[i]);
    };
    for (size_t i = 0; i < std::max(searched.size(), plain.size()); ++i) {
      enter(searched, i);
      enter(plain, 2 * i);
      enter(plain, 2 * i + 1);
    }
    return chosen;
  }

  // Of the best so far. Every other one is filled: the gains that a search adds up may leave much
  // of the budget, and more weights seldom learn less.
  std::vector<FoundScheme> mutations(size_t wanted, Random& random) {
    const size_t parents = std::min(kParents, entered_.size());
    std::vector<FoundScheme> made;
    int tries = 0;
    while (tries < kTries && made.size() < wanted) {
      std::vector<SchemePoint> points, filled;
      for (; tries < kTries && made.size() + points.size() + filled.size() < wanted; ++tries) {
        SchemePoint point = entered_[random.below(parents)].scheme.point;
        for (uint64_t m = 0; m < 1 + random.below(3); ++m) mutate(space_, point, random);
        trim(point);
        if (tries % 2 == 0)
          filled.push_back(std::move(point));
        else if (is_new(point))
          points.push_back(std::move(point));
      }
      fill(filled, random);
      for (SchemePoint& point : filled)
        if (is_new(point)) points.push_back(std::move(point));
      for (FoundScheme& scheme : those_that_fit(points)) made.push_back(std::move(scheme));
    }
    return made;
  }

  // Raises shares of the layers whose biases are trained, in a random order and by random steps,
  // as far as they fit: the longest start of the order, and behind what does not fit again.
  void fill(std::vector<SchemePoint>& points, Random& random) {
    struct Filling {
      std::vector<Raise> raises;
      size_t low = 0, high = 0;  // raises that fit, and that may
    };
    std::vector<Filling> fillings(points.size());
    for (size_t i = 0; i < points.size(); ++i) fillings[i].raises = raises(points[i], random);
    for (int pass = 0; pass < kFillings; ++pass) {
      for (Filling& f : fillings) f.low = 0, f.high = f.raises.size();
      for (;;) {
        std::vector<SchemePoint> tried;
        std::vector<size_t> open;
        for (size_t i = 0; i < points.size(); ++i) {
          const Filling& f = fillings[i];
          if (f.low == f.high) continue;
          open.push_back(i);
          tried.push_back(raised(points[i], f.raises, (f.low + f.high + 1) / 2));
        }
        if (open.empty()) break;
        const std::vector<Cost> costs = evaluator_.costs(tried);
        for (size_t t = 0; t < open.size(); ++t) {
          Filling& f = fillings[open[t]];
          const size_t middle = (f.low + f.high + 1) / 2;
          if (budget_.allows(costs[t]))
            f.low = middle;
          else
            f.high = middle - 1;
        }
      }
      for (size_t i = 0; i < points.size(); ++i) {
        std::vector<Raise>& all = fillings[i].raises;
        points[i] = raised(points[i], all, fillings[i].low);
        const size_t behind = std::min(all.size(), fillings[i].low + 1);
        all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(behind));
      }
    }
  }

  struct Raise {
    size_t layer = 0;
    int option = 0;
  };

  std::vector<Raise> raises(const SchemePoint& point, Random& random) const {
    std::vector<Raise> all;
    const size_t depth = space_.layers.size();
    for (size_t l = depth - static_cast<size_t>(point.bias_last); l < depth; ++l) {
      const auto above = static_cast<int>(space_.layers[l].options.size()) - 1 - point.options[l];
      if (above == 0) continue;
      const auto step = static_cast<int>(random.below(static_cast<uint64_t>(above)));
      const Raise raise = {l, point.options[l] + 1 + step};
      all.insert(all.begin() + static_cast<std::ptrdiff_t>(random.below(all.size() + 1)), raise);
    }
    return all;
  }

  static SchemePoint raised(SchemePoint point, const std::vector<Raise>& raises, size_t count) {
    for (size_t i = 0; i < count; ++i) point.options[raises[i].layer] = raises[i].option;
    return point;
  }

  // The mean of a run with each of the parts to judge by.
  Reached reached(const std::string& scheme, const FineTuning& how,
                  std::vector<TaskExamples>& parts) {
    Reached sum = {0, 0};
    for (TaskExamples& part : parts) {
      const Reached next = tuner_.run(scheme, part.training, part.validation, how);
      sum.accuracy += next.accuracy;
      sum.loss += next.loss;
      if (diverged(sum)) return {};
    }
    const auto count = static_cast<double>(parts.size());
    return {sum.accuracy / count, sum.loss / count};
  }

  // Up from the given rate as long as that helps; if it does not at once, down, and on to where
  // training does not diverge.
  Finalist climb(const FoundScheme& scheme) {
    const std::string json = scheme_json(space_, scheme.point);
    const auto at = [&](int step) {
      FineTuning how = finals_.measure;
      how.rate = std::ldexp(how.rate, step);
      return reached(json, how, halves_);
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
    return {scheme, std::ldexp(finals_.measure.rate, best), most, static_cast<int>(halves_.size()),
            finals_.measure.steps};
  }

  void fine_tune(const std::vector<FoundScheme>& schemes) {
    std::vector<Finalist> made(schemes.size());
    in_parallel(schemes.size(), [&](size_t i) { made[i] = climb(schemes[i]); });
    entered_.insert(entered_.end(), made.begin(), made.end());
    sort();
  }

  // A single seed may have been lucky, and what trains more weights takes longer to pay: the best
  // third runs with several seeds and for longer, and goes ahead of the others.
  void retry() {
    const size_t count = (entered_.size() + 2) / 3;
    in_parallel(count, [&](size_t i) { run_longer(&entered_[i]); });
    sort();
  }

  // The mean of several seeds, with half the rate where one of them diverges.
  void run_longer(Finalist* finalist) {
    const std::string json = scheme_json(space_, finalist->scheme.point);
    FineTuning how = finals_.measure;
    how.steps *= kLonger;
    finalist->runs = kSeeds * static_cast<int>(longer_[0].size());
    finalist->steps = how.steps;
    for (int halvings = 0; halvings <= kRateSteps; ++halvings) {
      Reached sum = {0, 0};
      how.rate = finalist->rate;
      for (uint64_t seed = 0; seed < kSeeds && !diverged(sum); ++seed) {
        how.seed = finals_.measure.seed + seed;
        const Reached next = reached(json, how, longer_[seed]);
        sum.accuracy += next.accuracy;
        sum.loss += next.loss;
      }
      finalist->reached = {sum.accuracy / kSeeds, sum.loss / kSeeds};
      if (!diverged(finalist->reached)) return;
      finalist->rate /= 2;
    }
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
  const FinalsOptions& finals_;
  const Progress& progress_;
  FineTuner tuner_;
  const bool classifies_, few_;
  const double chance_;  // the loss of guessing
  std::vector<TaskExamples> halves_;
  std::vector<std::vector<TaskExamples>> longer_;  // by seed
  std::set<std::string> seen_;
  std::vector<Finalist> entered_;  // the best first
};

}  // namespace

std::vector<Finalist> hold_finals(const Model& model, const CompileOptions& options,
                                  const SearchSpace& space, const Gains& gains,
                                  const std::vector<FoundScheme>& found, SchemeEvaluator& evaluator,
                                  const Budget& budget, const ExamplesInMemory& examples,
                                  const FinalsOptions& finals, const Progress& progress) {
  return Finals(model, options, space, gains, evaluator, budget, examples, finals, progress)
      .run(found);
}

}  // namespace attune
