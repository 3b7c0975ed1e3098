#include "sparse_update/search/front.h"

#include <algorithm>

namespace attune {
namespace {

constexpr size_t kMostLabels = 4000;  // a picture needs no more

// About `count` solutions, spread over the gains, both ends among them.
std::vector<SchemePoint> spread(const std::vector<Solution>& front, size_t count) {
  std::vector<SchemePoint> points;
  if (front.empty()) return points;
  const double low = front.front().gain, high = front.back().gain;
  size_t next = 0;
  for (size_t i = 0; i < count; ++i) {
    const double wanted =
        low + (high - low) * static_cast<double>(i) / static_cast<double>(count - 1);
    while (next + 1 < front.size() && front[next].gain < wanted) ++next;
    if (points.empty() || !(front[next].point == points.back()))
      points.push_back(front[next].point);
  }
  return points;
}

template <class Key>
std::vector<FoundScheme> undominated(std::vector<FoundScheme> schemes, Key key) {
  std::stable_sort(schemes.begin(), schemes.end(), [&](const FoundScheme& a, const FoundScheme& b) {
    if (key(a) != key(b)) return key(a) < key(b);
    return a.gain > b.gain;
  });
  std::vector<FoundScheme> kept;
  for (FoundScheme& scheme : schemes)
    if (kept.empty() || scheme.gain > kept.back().gain) kept.push_back(std::move(scheme));
  return kept;
}

}  // namespace

SchemeFronts scheme_fronts(SchemeEvaluator& evaluator, const ChoiceCosts& costs, size_t points,
                           const Progress& progress) {
  std::vector<SchemePoint> wanted = {frozen_point(evaluator.space())};
  const Amounts unlimited = {kNoLimit, kNoLimit};
  for (size_t amount = 0; amount < kAmounts; ++amount) {
    std::array<bool, kAmounts> counts = {};
    counts[amount] = true;
    // What each choice takes by itself: the arena too, which a smaller plan depends on.
    const SeparableProblem problem = costs.problem(1);
    const auto front = knapsack_front(problem, unlimited, counts, kMostLabels).front;
    for (SchemePoint& point : spread(front, points)) wanted.push_back(std::move(point));
  }
  WorkCount count(progress, "front", wanted.size());
  const std::vector<FoundScheme> schemes = evaluator.evaluate(wanted, &count);
  SchemeFronts fronts;
  fronts.memory = undominated(schemes, [](const FoundScheme& s) { return s.cost.ram_bytes(); });
  fronts.time = undominated(schemes, [](const FoundScheme& s) {
    return s.cost.train_step_ms > 0 ? s.cost.train_step_ms : static_cast<double>(s.cost.train_macs);
  });
  return fronts;
}

}  // namespace attune
