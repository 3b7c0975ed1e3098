#include "sparse_update/search/search.h"

#include <doctest/doctest.h>

#include <cmath>

#include "graph/ir/error.h"
#include "sparse_update/pipeline/plan_in_memory.h"
#include "sparse_update/search/evolution.h"
#include "sparse_update/search/front.h"
#include "tests/cost/support.h"
#include "tests/search/subjects.h"

namespace attune::test {
namespace {

// A model, its space, and gains that are made up.
struct Bench {
  OnnxModel model = small_net();
  CompileOptions options = options_for("head");
  SearchSpace space = search_space(forward_graph(model, options, 1));
  Gains gains;
  CostModel cost_model{flat_target(1), BackendChoice::reference};

  explicit Bench(uint64_t seed = 1) {
    gains.unit = "accuracy";
    gains.base = 0.5;
    double value = 0;
    for (int k = 0; k <= space.depth(); ++k) {
      gains.bias.push_back(value);
      value += 0.01 * static_cast<double>((static_cast<uint64_t>(k) * 7 + seed) % 5 + 1);
    }
    for (size_t l = 0; l < space.layers.size(); ++l) {
      gains.weight.emplace_back();
      for (size_t o = 0; o < space.layers[l].options.size(); ++o)
        gains.weight.back().push_back(0.003 * static_cast<double>(o + 1) *
                                      static_cast<double>((l * 5 + seed) % 7 + 1));
    }
  }

  SchemeEvaluator evaluator(int threads = 1) {
    return SchemeEvaluator(model, options, space, gains, cost_model, threads);
  }
  SearchResult search(const Budget& budget, int threads = 1, uint64_t seed = 0,
                      size_t evaluations = 200) {
    SchemeEvaluator made = evaluator(threads);
    const ChoiceCosts costs(made, {});
    return search_scheme(made, costs, {.budget = budget, .evaluations = evaluations, .seed = seed});
  }

  // Every scheme of the space.
  std::vector<SchemePoint> all() {
    std::vector<SchemePoint> points;
    for (int k = 0; k <= space.depth(); ++k) {
      SchemePoint point = frozen_point(space);
      point.bias_last = k;
      const size_t first = space.layers.size() - static_cast<size_t>(k);
      for (bool more = true; more;) {
        points.push_back(point);
        size_t l = first;
        while (l < space.layers.size() &&
               ++point.options[l] == static_cast<int>(space.layers[l].options.size()))
          point.options[l++] = -1;
        more = l < space.layers.size();
      }
    }
    return points;
  }
};

}  // namespace

TEST_CASE("the search finds the best of all schemes, and its cost is true") {
  for (uint64_t seed : {1, 4}) {
    Bench bench(seed);
    SchemeEvaluator evaluator = bench.evaluator(2);
    // The first layer frozen: few enough schemes to compile them all.
    bench.space.layers[0].options.clear();
    bench.gains.weight[0].clear();
    const std::vector<SchemePoint> points = bench.all();
    const std::vector<FoundScheme> schemes = evaluator.evaluate(points);
    const size_t smallest = evaluator.evaluate(frozen_point(bench.space)).cost.ram_bytes();
    size_t largest = 0;
    for (const FoundScheme& s : schemes) largest = std::max(largest, s.cost.ram_bytes());
    for (const double share : {0.0, 0.2, 0.5, 0.8, 1.0}) {
      Budget budget;
      budget.memory_bytes =
          smallest + static_cast<size_t>(share * static_cast<double>(largest - smallest));
      double best = -INFINITY;
      for (const FoundScheme& s : schemes)
        if (budget.allows(s.cost)) best = std::max(best, s.gain);
      const SearchResult found = bench.search(budget, 2);
      CAPTURE(share);
      CHECK(found.best.gain == doctest::Approx(best));
      CHECK(found.bound >= found.best.gain);
      CHECK(budget.allows(found.best.cost));
      CHECK(evaluator.evaluate(found.best.point).cost.ram_bytes() == found.best.cost.ram_bytes());
      CHECK(bench.gains.of(found.best.point) == found.best.gain);
    }
  }
}

TEST_CASE("where plans are tiled, the corrected knapsack alone comes close to the best") {
  Bench bench;
  bench.options.batch = 1;
  bench.options.tile = bench.options.split_gradients = true;
  bench.space.layers[0].options.clear();
  bench.gains.weight[0].clear();
  SchemeEvaluator evaluator = bench.evaluator(2);
  const std::vector<SchemePoint> points = bench.all();
  const std::vector<FoundScheme> schemes = evaluator.evaluate(points);
  const size_t smallest = evaluator.evaluate(frozen_point(bench.space)).cost.ram_bytes();
  size_t largest = 0;
  for (const FoundScheme& s : schemes) largest = std::max(largest, s.cost.ram_bytes());
  for (const double share : {0.3, 0.7}) {
    CAPTURE(share);
    Budget budget;
    budget.memory_bytes =
        smallest + static_cast<size_t>(share * static_cast<double>(largest - smallest));
    double best = 0;
    for (const FoundScheme& s : schemes)
      if (budget.allows(s.cost)) best = std::max(best, s.gain);
    const SearchResult found = bench.search(budget, 2, 0, 0);
    CHECK(budget.allows(found.best.cost));
    CHECK(evaluator.evaluate(found.best.point).cost.ram_bytes() == found.best.cost.ram_bytes());
    CHECK(found.best.gain >= 0.85 * best);
    CHECK(found.evaluations < points.size() / 4);
  }
}

TEST_CASE("time and flash are budgets too") {
  Bench bench;
  SchemeEvaluator evaluator = bench.evaluator();
  const Cost head = evaluator.evaluate(frozen_point(bench.space)).cost;
  Budget budget;
  budget.latency_ms = head.train_step_ms * 1.5;
  const SearchResult quick = bench.search(budget);
  CHECK(quick.best.cost.train_step_ms <= *budget.latency_ms);
  CHECK(quick.best.gain > 0);
  budget.flash_bytes = head.flash_bytes() + 1500;
  const SearchResult small = bench.search(budget);
  CHECK(small.best.cost.flash_bytes() <= *budget.flash_bytes);
  CHECK(small.best.gain <= quick.best.gain);
}

TEST_CASE("the same search gives the same scheme, with any number of threads") {
  Bench bench;
  SchemeEvaluator evaluator = bench.evaluator();
  Budget budget;
  budget.memory_bytes = evaluator.evaluate(frozen_point(bench.space)).cost.ram_bytes() + 9000;
  const SearchResult one = bench.search(budget, 1, 5), again = bench.search(budget, 1, 5),
                     three = bench.search(budget, 3, 5);
  CHECK(one.best.point == again.best.point);
  CHECK(one.best.point == three.best.point);
  CHECK(one.evaluations == three.evaluations);
  CHECK(one.bound == three.bound);
}

TEST_CASE("where nothing fits, the error says what the smallest plan takes") {
  Bench bench;
  Budget budget;
  budget.memory_bytes = 1;
  const std::string memory = error_of([&] { bench.search(budget); });
  CHECK(memory.starts_with("no scheme fits"));
  for (const char* part : {"trains the classifier", "state", "arena", "--memory allows 1 bytes"})
    CHECK(contains(memory, part));
  budget = {};
  budget.latency_ms = 1e-9;
  CHECK(contains(error_of([&] { bench.search(budget); }), "--latency allows"));
  budget = {};
  budget.flash_bytes = 10;
  CHECK(contains(error_of([&] { bench.search(budget); }), "--flash allows"));
}

TEST_CASE("evolution alone finds the best of a small space, within its evaluations") {
  Bench bench;
  SchemeEvaluator evaluator = bench.evaluator(2);
  const ChoiceCosts costs(evaluator, {});
  const SeparableProblem least = costs.problem(0);
  Budget budget;
  budget.memory_bytes = evaluator.evaluate(frozen_point(bench.space)).cost.ram_bytes() + 6000;
  const Amounts limits = {static_cast<int64_t>(*budget.memory_bytes), kNoLimit};
  const SearchOptions options{.budget = budget, .evaluations = 400, .seed = 2};
  const size_t before = evaluator.evaluations();
  const std::optional<FoundScheme> found =
      evolve(evaluator, least, limits, INFINITY, {evaluator.evaluate(frozen_point(bench.space))},
             options, {});
  REQUIRE(found.has_value());
  CHECK(evaluator.evaluations() <= before + 400);
  CHECK(budget.allows(found->cost));
  CHECK(found->gain >= 0.9 * bench.search(budget).best.gain);
}

TEST_CASE("fronts rise, and their schemes cost what they say") {
  Bench bench;
  SchemeEvaluator evaluator = bench.evaluator(2);
  const ChoiceCosts costs(evaluator, {});
  const SchemeFronts fronts = scheme_fronts(evaluator, costs, 8);
  REQUIRE(fronts.memory.size() >= 3);
  REQUIRE(fronts.time.size() >= 3);
  for (size_t i = 1; i < fronts.memory.size(); ++i) {
    CHECK(fronts.memory[i - 1].cost.ram_bytes() < fronts.memory[i].cost.ram_bytes());
    CHECK(fronts.memory[i - 1].gain < fronts.memory[i].gain);
  }
  for (size_t i = 1; i < fronts.time.size(); ++i) {
    CHECK(fronts.time[i - 1].cost.train_step_ms < fronts.time[i].cost.train_step_ms);
    CHECK(fronts.time[i - 1].gain < fronts.time[i].gain);
  }
  CHECK(fronts.memory.front().point == frozen_point(bench.space));
}

}  // namespace attune::test
