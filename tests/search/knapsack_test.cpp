#include "sparse_update/search/knapsack.h"

#include <doctest/doctest.h>

#include <cmath>

#include "engine/random.h"

namespace attune::test {
namespace {

SeparableProblem random_problem(uint64_t seed, size_t layers) {
  Random random(seed, 0);
  SeparableProblem problem;
  Amounts cost = {100, 1000};
  double gain = 0;
  for (size_t k = 0; k <= layers; ++k) {
    problem.bias_gain.push_back(gain);
    problem.bias_cost.push_back(cost);
    gain += static_cast<double>(random.below(20)) - 3;
    cost[0] += static_cast<int64_t>(random.below(20));
    cost[1] += static_cast<int64_t>(random.below(200));
  }
  for (size_t l = 0; l < layers; ++l) {
    problem.options.emplace_back();
    const uint64_t count = random.below(4);
    for (uint64_t o = 0; o < count; ++o)
      problem.options.back().push_back(
          {static_cast<double>(random.below(100)) - 10,
           {static_cast<int64_t>(random.below(60)) - 8, static_cast<int64_t>(random.below(300))}});
  }
  return problem;
}

Solution solution_of(const SeparableProblem& problem, const SchemePoint& point) {
  const auto k = static_cast<size_t>(point.bias_last);
  Solution made{point, problem.bias_gain[k], problem.bias_cost[k]};
  for (size_t l = 0; l < point.options.size(); ++l) {
    if (point.options[l] < 0) continue;
    const auto& option = problem.options[l][static_cast<size_t>(point.options[l])];
    made.gain += option.gain;
    for (size_t i = 0; i < kAmounts; ++i) made.cost[i] += option.cost[i];
  }
  return made;
}

bool within(const Amounts& cost, const Amounts& limits) {
  for (size_t i = 0; i < kAmounts; ++i)
    if (limits[i] != kNoLimit && cost[i] > limits[i]) return false;
  return true;
}

// Every scheme of depth k.
template <class F>
void for_every_point(const SeparableProblem& problem, int k, F&& f) {
  SchemePoint point{k, std::vector<int>(problem.options.size(), -1)};
  const size_t first = problem.options.size() - static_cast<size_t>(k);
  for (;;) {
    f(solution_of(problem, point));
    size_t l = first;
    while (l < problem.options.size() &&
           ++point.options[l] == static_cast<int>(problem.options[l].size()))
      point.options[l++] = -1;
    if (l == problem.options.size()) return;
  }
}

constexpr Amounts kLimits[] = {{kNoLimit, kNoLimit}, {220, kNoLimit}, {kNoLimit, 1700},
                               {220, 1700},          {150, 1300},     {90, kNoLimit}};

}  // namespace

TEST_CASE("the knapsack finds what trying every scheme finds") {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const SeparableProblem problem = random_problem(seed, 6);
    for (const Amounts& limits : kLimits) {
      bool exact = false;
      const auto best = knapsack_best(problem, limits, &exact);
      CHECK(exact);
      REQUIRE(best.size() == 7);
      for (int k = 0; k <= 6; ++k) {
        double most = -INFINITY;
        for_every_point(problem, k, [&](const Solution& s) {
          if (within(s.cost, limits)) most = std::max(most, s.gain);
        });
        const auto& found = best[static_cast<size_t>(k)];
        CAPTURE(seed);
        CAPTURE(k);
        REQUIRE(found.has_value() == std::isfinite(most));
        if (!found) continue;
        CHECK(found->gain == most);
        const Solution again = solution_of(problem, found->point);
        CHECK(again.gain == found->gain);
        CHECK(again.cost == found->cost);
        CHECK(within(found->cost, limits));
      }
    }
  }
}

TEST_CASE("the front holds the best gain of every amount, and nothing that is beaten") {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    const SeparableProblem problem = random_problem(seed, 5);
    const auto result = knapsack_front(problem, {kNoLimit, kNoLimit}, {true, false});
    CHECK(result.exact);
    REQUIRE(!result.front.empty());
    for (size_t i = 1; i < result.front.size(); ++i) {
      CHECK(result.front[i - 1].cost[0] < result.front[i].cost[0]);
      CHECK(result.front[i - 1].gain < result.front[i].gain);
    }
    for (int k = 0; k <= 5; ++k)
      for_every_point(problem, k, [&](const Solution& s) {
        const Solution* best = nullptr;
        for (const Solution& f : result.front)
          if (f.cost[0] <= s.cost[0]) best = &f;
        REQUIRE(best != nullptr);
        REQUIRE(best->gain >= s.gain);
      });
  }
}

TEST_CASE("too many partial solutions are thinned, and the result says so") {
  const SeparableProblem problem = random_problem(3, 12);
  const auto thinned = knapsack_front(problem, {kNoLimit, kNoLimit}, {true, true}, 10);
  const auto exact = knapsack_front(problem, {kNoLimit, kNoLimit}, {true, true});
  CHECK(exact.exact);
  CHECK(!thinned.exact);
  CHECK(!thinned.front.empty());
  for (const Solution& s : thinned.front) CHECK(solution_of(problem, s.point).gain == s.gain);
}

TEST_CASE("a choice that diverges is not taken") {
  SeparableProblem problem = random_problem(5, 3);
  for (auto& row : problem.options)
    for (auto& option : row) option.gain = -INFINITY;
  problem.bias_gain[2] = -INFINITY;
  const auto best = knapsack_best(problem, {kNoLimit, kNoLimit});
  for (size_t k : {0u, 1u, 3u}) {
    REQUIRE(best[k].has_value());
    CHECK(best[k]->gain == problem.bias_gain[k]);
  }
}

}  // namespace attune::test
