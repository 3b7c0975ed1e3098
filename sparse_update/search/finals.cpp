#include "sparse_update/search/finals.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "graph/ir/error.h"
#include "graph/training/loss.h"
#include "sparse_update/parallel.h"
#include "sparse_update/search/evolution.h"

namespace attune {
namespace {

constexpr int kRateFactors = 6;  // factors of 2 from the given rate, in either direction
constexpr int kSeeds = 3;        // of those that may win
constexpr int kLonger = 3;       // times as many steps for these
// Of fewer examples, half are another task than all, and one more or less that is right decides.
constexpr int64_t kFewExamples = 1000;
constexpr int64_t kFinalFolds = 4;
constexpr size_t kParents = 3;
constexpr int kGenerations = 2;  // of mutations
constexpr int kMutations = 200;  // mutations made for a generation
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
  Finals(const Model& model, const CompileOptions& options, SchemeEvaluator& evaluator,
         const Budget& budget, const ExamplesInMemory& examples, const FinalsOptions& finals,
         const Progress& progress)
      : space_(evaluator.space()),
        evaluator_(evaluator),
        budget_(budget),
        finals_(finals),
        progress_(progress),
        tuner_(model, options, finals.measure.cache, finals.measure.cache_lost),
        classifies_(classifies(options.loss)),
        few_(examples.size() < kFewExamples),
        chance_(classifies_ ? std::log(class_count(forward_graph(model, options, 1), options.loss,
                                                   options.loss_settings))
                            : 0),
        halves_(halves(examples)) {
    for (uint64_t seed = 0; seed < kSeeds; ++seed)
      longer_.push_back(
          examples.size() < kFewExamples
              ? folds(examples, std::min(kFinalFolds, examples.size()), finals.measure.seed + seed)
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

  // Of several rows of schemes, of which each takes no less than the one before it, the number of
  // the last one that fits; 0 where none does. All rows are halved at once.
  template <class Point>
  std::vector<int> last_that_fit(const std::vector<int>& ends, const Point& point) {
    std::vector<int> low(ends.size()), high = ends;
    for (;;) {
      std::vector<SchemePoint> points;
      std::vector<size_t> open;
      for (size_t row = 0; row < ends.size(); ++row) {
        if (low[row] == high[row]) continue;
        open.push_back(row);
        points.push_back(point(row, (low[row] + high[row] + 1) / 2));
      }
      if (open.empty()) return low;
      const std::vector<FoundScheme> schemes = evaluator_.evaluate(points);
      for (size_t i = 0; i < open.size(); ++i) {
        int &from = low[open[i]], &to = high[open[i]];
        const int middle = (from + to + 1) / 2;
        if (budget_.allows(schemes[i].cost))
          from = middle;
        else
          to = middle - 1;
      }
    }
  }

  // Of every family that with the largest n that fits, then, as training less is sometimes better,
  // that with two thirds of it. A larger n takes no less.
  std::vector<FoundScheme> plain_schemes() {
    const auto point = [&](size_t f, int n) { return plain_point(space_, n, kPlainFamilies[f]); };
    const std::vector<int> largest =
        last_that_fit(std::vector<int>(std::size(kPlainFamilies), space_.depth()), point);
    std::vector<SchemePoint> points;
    for (size_t f = 0; f < largest.size(); ++f) points.push_back(point(f, largest[f]));
    for (size_t f = 0; f < largest.size(); ++f)
      points.push_back(point(f, (2 * largest[f] + 1) / 3));
    return those_that_fit(points);
  }

  std::vector<FoundScheme> those_that_fit(const std::vector<SchemePoint>& points) {
    std::vector<FoundScheme> schemes = evaluator_.evaluate(points);
    std::erase_if(schemes, [&](const FoundScheme& s) { return !budget_.allows(s.cost); });
    return schemes;
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
    while (tries < kMutations && made.size() < wanted) {
      std::vector<SchemePoint> points, filled;
      for (; tries < kMutations && made.size() + points.size() + filled.size() < wanted; ++tries) {
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
    std::vector<std::vector<Raise>> left;
    for (const SchemePoint& point : points) left.push_back(raises(point, random));
    const auto filled = [&](size_t i, int count) { return raised(points[i], left[i], count); };
    for (int pass = 0; pass < kFillings; ++pass) {
      std::vector<int> ends;
      for (const std::vector<Raise>& raises : left) ends.push_back(static_cast<int>(raises.size()));
      const std::vector<int> fit = last_that_fit(ends, filled);
      for (size_t i = 0; i < points.size(); ++i) {
        points[i] = filled(i, fit[i]);
        left[i].erase(left[i].begin(), left[i].begin() + std::min(ends[i], fit[i] + 1));
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

  static SchemePoint raised(SchemePoint point, const std::vector<Raise>& raises, int count) {
    for (int i = 0; i < count; ++i) {
      const Raise& raise = raises[static_cast<size_t>(i)];
      point.options[raise.layer] = raise.option;
    }
    return point;
  }

  // The mean of so many results; where one of them diverged, it has, too.
  template <class F>
  static Reached mean_of(size_t count, const F& result) {
    Reached sum = {0, 0};
    for (size_t i = 0; i < count; ++i) {
      const Reached next = result(i);
      sum.accuracy += next.accuracy;
      sum.loss += next.loss;
      if (diverged(sum)) return {};
    }
    return {sum.accuracy / static_cast<double>(count), sum.loss / static_cast<double>(count)};
  }

  // The mean of a run with each of the parts to judge by.
  Reached reached(const std::string& scheme, const FineTuning& how,
                  std::vector<TaskExamples>& parts) {
    return mean_of(parts.size(), [&](size_t i) {
      return tuner_.run(scheme, parts[i].training, parts[i].validation, how);
    });
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
      while (std::abs(best) < kRateFactors) {
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
    for (int halvings = 0; halvings <= kRateFactors; ++halvings) {
      how.rate = finalist->rate;
      finalist->reached = mean_of(kSeeds, [&](size_t seed) {
        how.seed = finals_.measure.seed + seed;
        return reached(json, how, longer_[seed]);
      });
      if (!diverged(finalist->reached)) return;
      finalist->rate /= 2;
    }
  }

  template <class F>
  void in_parallel(size_t count, F&& f) {
    WorkCount work(progress_, "finals", count);
    for_each_in_parallel(count, finals_.measure.threads, [&](size_t i) {
      f(i);
      work.add(1, false);
    });
  }

  const SearchSpace& space_;
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
                                  SchemeEvaluator& evaluator, const std::vector<FoundScheme>& found,
                                  const Budget& budget, const ExamplesInMemory& examples,
                                  const FinalsOptions& finals, const Progress& progress) {
  return Finals(model, options, evaluator, budget, examples, finals, progress).run(found);
}

}  // namespace attune
