#include "sparse_update/search/knapsack.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace attune {
namespace {

// A partial solution: choices for the layers from the last one to that of its stage.
struct Label {
  double gain = 0;
  Amounts cost = {};
  int32_t parent = -1;  // in the stage before
  int32_t option = -1;
};

using Counts = std::array<bool, kAmounts>;

// Removes labels that others beat or equal in gain and all counted amounts. Sorted by cost then.
void keep_best(std::vector<Label>& labels, const Counts& counts) {
  const auto counted = [&](const Label& label, int i) {
    return counts[static_cast<size_t>(i)] ? label.cost[static_cast<size_t>(i)] : 0;
  };
  std::stable_sort(labels.begin(), labels.end(), [&](const Label& a, const Label& b) {
    return std::tuple(counted(a, 0), counted(a, 1), -a.gain) <
           std::tuple(counted(b, 0), counted(b, 1), -b.gain);
  });
  // What has been kept so far needs no more of amount 0; by amount 1, its gains rise.
  std::map<int64_t, double> stairs;
  std::vector<Label> kept;
  for (const Label& label : labels) {
    const int64_t second = counted(label, 1);
    auto above = stairs.upper_bound(second);
    if (above != stairs.begin() && std::prev(above)->second >= label.gain) continue;
    kept.push_back(label);
    while (above != stairs.end() && above->second <= label.gain) above = stairs.erase(above);
    stairs[second] = label.gain;
  }
  labels = std::move(kept);
}

// Leaves about `most` labels, the best of each of as many ranges of cost.
void thin(std::vector<Label>& labels, size_t most) {
  std::vector<Label> kept;
  const size_t stride = (labels.size() + most - 1) / most;
  for (size_t i = 0; i < labels.size(); i += stride)
    kept.push_back(*std::max_element(
        labels.begin() + static_cast<std::ptrdiff_t>(i),
        labels.begin() + static_cast<std::ptrdiff_t>(std::min(i + stride, labels.size())),
        [](const Label& a, const Label& b) { return a.gain < b.gain; }));
  labels = std::move(kept);
}

class Knapsack {
 public:
  Knapsack(const SeparableProblem& problem, const Amounts& limits, const Counts& counts,
           size_t most)
      : problem_(problem), limits_(limits), counts_(counts), most_(most) {
    const size_t layers = problem.options.size();
    saving_.assign(layers + 1, Amounts{});
    for (size_t l = 0; l < layers; ++l) {
      saving_[l + 1] = saving_[l];
      for (size_t i = 0; i < kAmounts; ++i) {
        int64_t least = 0;
        for (const auto& option : problem.options[l]) least = std::min(least, option.cost[i]);
        saving_[l + 1][i] += least;
      }
    }
    stages_.push_back({Label{}});
    for (size_t k = 1; k <= layers; ++k) add_stage(layers - k);
  }

  bool exact() const { return exact_; }
  size_t depth() const { return stages_.size() - 1; }

  // All complete solutions that fit.
  std::vector<Solution> solutions() const {
    std::vector<Solution> found;
    for (size_t k = 0; k <= depth(); ++k)
      for (size_t i = 0; i < stages_[k].size(); ++i)
        if (fits(stages_[k][i].cost, k, {})) found.push_back(solution(k, i));
    return found;
  }

  // The label of the largest gain, of these the cheapest; -1 where none fits.
  std::optional<Solution> best(size_t k) const {
    const Label* best = nullptr;
    for (const Label& label : stages_[k])
      if (fits(label.cost, k, {}) && (!best || label.gain > best->gain)) best = &label;
    if (!best) return std::nullopt;
    return solution(k, static_cast<size_t>(best - stages_[k].data()));
  }

 private:
  // Whether a cost on top of k biases' is within the limits, `saving` being still to come.
  bool fits(const Amounts& cost, size_t k, const Amounts& saving) const {
    for (size_t i = 0; i < kAmounts; ++i)
      if (limits_[i] != kNoLimit && cost[i] + problem_.bias_cost[k][i] + saving[i] > limits_[i])
        return false;
    return true;
  }

  void add_stage(size_t layer) {
    const size_t k = stages_.size();
    const std::vector<Label>& before = stages_.back();
    std::vector<Label> labels;
    for (size_t p = 0; p < before.size(); ++p) {
      const auto parent = static_cast<int32_t>(p);
      labels.push_back({before[p].gain, before[p].cost, parent, -1});
      for (size_t o = 0; o < problem_.options[layer].size(); ++o) {
        const auto& option = problem_.options[layer][o];
        Label label{before[p].gain + option.gain, before[p].cost, parent, static_cast<int32_t>(o)};
        for (size_t i = 0; i < kAmounts; ++i) label.cost[i] += option.cost[i];
        labels.push_back(label);
      }
    }
    std::erase_if(labels, [&](const Label& l) { return !fits(l.cost, k, saving_[layer]); });
    keep_best(labels, counts_);
    if (labels.size() > most_) {
      thin(labels, most_);
      exact_ = false;
    }
    stages_.push_back(std::move(labels));
  }

  Solution solution(size_t k, size_t index) const {
    const size_t layers = problem_.options.size();
    Solution made;
    made.point.bias_last = static_cast<int>(k);
    made.point.options.assign(layers, -1);
    made.gain = problem_.bias_gain[k] + stages_[k][index].gain;
    for (size_t i = 0; i < kAmounts; ++i)
      made.cost[i] = problem_.bias_cost[k][i] + stages_[k][index].cost[i];
    for (size_t stage = k; stage > 0; --stage) {
      const Label& label = stages_[stage][index];
      made.point.options[layers - stage] = label.option;
      index = static_cast<size_t>(label.parent);
    }
    return made;
  }

  const SeparableProblem& problem_;
  Amounts limits_;
  Counts counts_;
  size_t most_;
  std::vector<Amounts> saving_;             // [layer]: the most that earlier layers can save
  std::vector<std::vector<Label>> stages_;  // [k]
  bool exact_ = true;
};

}  // namespace

KnapsackResult knapsack_front(const SeparableProblem& problem, const Amounts& limits,
                              const Counts& counts, size_t most) {
  const Knapsack knapsack(problem, limits, counts, most);
  KnapsackResult result;
  result.exact = knapsack.exact();
  std::vector<Solution> all = knapsack.solutions();
  std::vector<Label> labels;
  for (size_t i = 0; i < all.size(); ++i)
    labels.push_back({all[i].gain, all[i].cost, static_cast<int32_t>(i), -1});
  keep_best(labels, counts);
  for (const Label& label : labels)
    result.front.push_back(std::move(all[static_cast<size_t>(label.parent)]));
  return result;
}

std::vector<std::optional<Solution>> knapsack_best(const SeparableProblem& problem,
                                                   const Amounts& limits, bool* exact,
                                                   size_t most) {
  Counts counts;
  for (size_t i = 0; i < kAmounts; ++i) counts[i] = limits[i] != kNoLimit;
  const Knapsack knapsack(problem, limits, counts, most);
  std::vector<std::optional<Solution>> best;
  for (size_t k = 0; k <= knapsack.depth(); ++k) best.push_back(knapsack.best(k));
  if (exact) *exact = knapsack.exact();
  return best;
}

}  // namespace attune
