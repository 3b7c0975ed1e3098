#include "sparse_update/search/finals.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "graph/ir/error.h"
#include "sparse_update/pipeline/plan_in_memory.h"
#include "tests/cost/support.h"
#include "tests/search/subjects.h"

namespace attune::test {
namespace {

// A task, and gains that are all the same: they tell nothing.
struct Subject {
  OnnxModel model;
  CompileOptions options = options_for("head");
  SearchSpace space = search_space(forward_graph(model, options, 1));
  CostModel cost_model{flat_target(1), BackendChoice::reference};
  Gains gains;
  std::optional<ExamplesInMemory> examples;
  Budget budget;

  explicit Subject(int blocks = 1, int64_t count = 120) : model(small_net(blocks)) {
    options.classes = 4;
    gains.unit = "accuracy";
    gains.bias.assign(static_cast<size_t>(space.depth()) + 1, 0);
    for (const SpaceLayer& layer : space.layers)
      gains.weight.emplace_back(layer.options.size(), 0.0);
    const Compiled compiled = compile(model, options);
    const PlanInMemory loaded(compiled.plan, "plan");
    std::unique_ptr<Session> session;
    throw_if_error(Session::create(loaded.plan(), {}, &session));
    Patterns data(count, 3);
    examples.emplace(take_examples(data, *session, count, 1));
    // Half of what more than the classifier takes.
    const size_t head = cost("head"), full = cost("full");
    budget.memory_bytes = (head + full) / 2;
  }

  size_t cost(const std::string& scheme) {
    CompileOptions with = options;
    with.scheme = scheme;
    return cost_model.cost(compile(model, with).contents).ram_bytes();
  }

  std::vector<Finalist> finals(size_t finalists, int threads = 1, const std::string& cache = "",
                               int64_t steps = 12) {
    SchemeEvaluator evaluator(model, options, space, gains, cost_model, threads);
    FinalsOptions with;
    with.finalists = finalists;
    with.measure.steps = steps;
    with.measure.rate = 0.02;
    with.measure.session.backend = BackendChoice::reference;
    with.measure.threads = threads;
    with.measure.cache = cache;
    const FoundScheme head = evaluator.evaluate(frozen_point(space));
    return hold_finals(model, options, evaluator, {head}, budget, *examples, with);
  }
};

}  // namespace

TEST_CASE("finals find what learns more than the estimated best, within the budget") {
  Subject subject;
  const std::vector<Finalist> finalists = subject.finals(8, 2, "", 60);
  REQUIRE(finalists.size() == 16);
  const auto head = std::find_if(finalists.begin(), finalists.end(), [&](const Finalist& finalist) {
    return finalist.scheme.point == frozen_point(subject.space);
  });
  REQUIRE(head != finalists.end());
  CHECK(finalists.front().reached.loss < head->reached.loss);
  CHECK(finalists.front().reached.accuracy > head->reached.accuracy);
  for (const Finalist& finalist : finalists) {
    CHECK(subject.budget.allows(finalist.scheme.cost));
    CHECK(finalist.scheme.cost.ram_bytes() ==
          subject.cost(scheme_json(subject.space, finalist.scheme.point)));
    CHECK(finalist.rate > 0);
    CHECK(finalist.reached.accuracy >= 0.1);
    CHECK(finalist.reached.accuracy <= 1);
  }
  // No scheme twice.
  std::vector<std::string> schemes;
  for (const Finalist& finalist : finalists)
    schemes.push_back(scheme_json(subject.space, finalist.scheme.point));
  std::sort(schemes.begin(), schemes.end());
  CHECK(std::adjacent_find(schemes.begin(), schemes.end()) == schemes.end());
}

TEST_CASE("mutations fill what is left of the budget") {
  Subject subject;
  const SearchSpace& space = subject.space;
  // Whether the next larger share of some layer whose bias is trained fits, too.
  const auto has_room = [&](const SchemePoint& point) {
    for (size_t l = point.options.size() - static_cast<size_t>(point.bias_last);
         l < point.options.size(); ++l) {
      if (point.options[l] + 1 >= static_cast<int>(space.layers[l].options.size())) continue;
      SchemePoint larger = point;
      ++larger.options[l];
      if (subject.cost(scheme_json(space, larger)) <= *subject.budget.memory_bytes) return true;
    }
    return false;
  };
  const std::vector<Finalist> finalists = subject.finals(20);
  const auto full = std::count_if(finalists.begin(), finalists.end(),
                                  [&](const Finalist& f) { return !has_room(f.scheme.point); });
  CHECK(full >= 6);
}

TEST_CASE("the largest plain schemes that fit take part in finals") {
  Subject subject;
  const std::vector<Finalist> finalists = subject.finals(32);
  const auto point_of = [&](const std::string& kind, int k) {
    SchemePoint point = frozen_point(subject.space);
    point.bias_last = k;
    for (size_t l = point.options.size() - static_cast<size_t>(k); l < point.options.size(); ++l) {
      const SpaceLayer& layer = subject.space.layers[l];
      if (kind == "last" || (kind == "expanding" && layer.expands))
        point.options[l] = static_cast<int>(layer.options.size()) - 1;
    }
    return point;
  };
  for (const std::string kind : {"bias", "last", "expanding"}) {
    int largest = 0;
    for (int k = 1; k <= subject.space.depth(); ++k)
      if (subject.cost(scheme_json(subject.space, point_of(kind, k))) <=
          *subject.budget.memory_bytes)
        largest = k;
    CAPTURE(kind);
    REQUIRE(largest > 0);
    CHECK(std::any_of(finalists.begin(), finalists.end(), [&](const Finalist& finalist) {
      return finalist.scheme.point == point_of(kind, largest);
    }));
  }
  const auto expanding = point_of("expanding", subject.space.depth());
  CHECK(std::any_of(expanding.options.begin(), expanding.options.end(),
                    [](int option) { return option >= 0; }));
  CHECK(expanding != point_of("last", subject.space.depth()));
}

TEST_CASE("weights in the middle take part in finals") {
  Subject subject(3);
  REQUIRE(subject.space.depth() == 10);
  // The first weights that expand of the last two thirds of the layers; there are others behind.
  SchemePoint middle = frozen_point(subject.space);
  middle.bias_last = 7;
  const SpaceLayer& expand = subject.space.layers[4];
  REQUIRE(expand.expands);
  REQUIRE(subject.space.layers[7].expands);
  middle.options[4] = static_cast<int>(expand.options.size()) - 1;
  subject.budget.memory_bytes = subject.cost(scheme_json(subject.space, middle));
  const std::vector<Finalist> finalists = subject.finals(32);
  CHECK(std::any_of(finalists.begin(), finalists.end(),
                    [&](const Finalist& finalist) { return finalist.scheme.point == middle; }));
}

TEST_CASE("finals end where the biases of some plain schemes are too much by themselves") {
  Subject subject(3);
  REQUIRE(subject.space.depth() == 10);
  // Two thirds of the layers are seven.
  SchemePoint six = frozen_point(subject.space), seven = six;
  six.bias_last = 6, seven.bias_last = 7;
  subject.budget.memory_bytes = subject.cost(scheme_json(subject.space, six));
  REQUIRE(subject.cost(scheme_json(subject.space, seven)) > *subject.budget.memory_bytes);
  const std::vector<Finalist> finalists = subject.finals(4);
  CHECK(!finalists.empty());
  for (const Finalist& finalist : finalists) CHECK(subject.budget.allows(finalist.scheme.cost));
}

TEST_CASE("the best third of the finalists runs for longer and with several seeds") {
  Subject subject;
  const std::vector<Finalist> finalists = subject.finals(8);
  REQUIRE(finalists.size() == 16);
  for (size_t i = 0; i < finalists.size(); ++i) {
    CAPTURE(i);
    CHECK(finalists[i].runs == (i < 6 ? 12 : 2));
    CHECK(finalists[i].steps == (i < 6 ? 36 : 12));
    // Of so few examples, how many are right says too little.
    const bool first = i == 0 || i == 6;
    CHECK((first || finalists[i].reached.loss >= finalists[i - 1].reached.loss));
  }
}

TEST_CASE("finals of the fewest examples there may be") {
  for (const int64_t count : {2, 3, 5}) {
    CAPTURE(count);
    Subject subject(1, count);
    const std::vector<Finalist> finalists = subject.finals(1);
    REQUIRE(finalists.size() == 2);
    CHECK(finalists.front().runs == 3 * std::min<int64_t>(count, 4));
    CHECK(std::isfinite(finalists.front().reached.loss));
  }
}

TEST_CASE("of few examples, the loss decides where it is below that of guessing") {
  const double chance = std::log(4.0);
  int by_loss = 0, by_accuracy = 0;
  for (const int64_t count : {6, 8, 12, 16, 120}) {
    Subject subject(1, count);
    const std::vector<Finalist> finalists = subject.finals(10, 2);
    for (size_t i = 1; i < finalists.size(); ++i) {
      CAPTURE(count);
      CAPTURE(i);
      const Finalist &better = finalists[i - 1], &worse = finalists[i];
      if (better.runs != worse.runs || !std::isfinite(worse.reached.loss)) continue;
      if (better.reached.loss < chance) {
        CHECK(better.reached.loss <= worse.reached.loss);
        ++by_loss;
      } else {
        CHECK(worse.reached.loss >= chance);
        CHECK(better.reached.accuracy >= worse.reached.accuracy);
        ++by_accuracy;
      }
    }
  }
  CHECK(by_loss > 0);
  CHECK(by_accuracy > 0);
}

TEST_CASE("of many examples, halves judge, and how many are right decides") {
  Subject few(1, 998), many(1, 1000);
  CHECK(few.finals(1, 2).front().runs == 12);
  const std::vector<Finalist> finalists = many.finals(4, 2);
  REQUIRE(finalists.size() == 8);
  for (size_t i = 0; i < finalists.size(); ++i) {
    CAPTURE(i);
    CHECK(finalists[i].runs == (i < 3 ? 6 : 2));
    const bool first = i == 0 || i == 3;
    CHECK((first || finalists[i].reached.accuracy <= finalists[i - 1].reached.accuracy));
  }
}

TEST_CASE("finals end alike with any number of threads, and go on where they were") {
  Subject subject;
  const TempFolder folder;
  const std::string cache = folder.path("finals.jsonl");
  const std::vector<Finalist> one = subject.finals(4, 1, cache);
  const size_t lines = count_file_lines(cache);
  CHECK(lines > 16);
  const std::vector<Finalist> again = subject.finals(4, 3, cache), two = subject.finals(4, 2);
  CHECK(count_file_lines(cache) == lines);
  REQUIRE(again.size() == one.size());
  REQUIRE(two.size() == one.size());
  for (size_t i = 0; i < one.size(); ++i) {
    CAPTURE(i);
    for (const Finalist* other : {&again[i], &two[i]}) {
      CHECK(other->scheme.point == one[i].scheme.point);
      CHECK(other->rate == one[i].rate);
      CHECK(other->reached.accuracy == one[i].reached.accuracy);
      CHECK(other->reached.loss == doctest::Approx(one[i].reached.loss).epsilon(1e-12));
    }
  }
}

TEST_CASE("a finalist that diverges is tried at smaller rates") {
  Subject subject;
  subject.budget.memory_bytes = size_t{1} << 30;
  SchemeEvaluator evaluator(subject.model, subject.options, subject.space, subject.gains,
                            subject.cost_model, 1);
  SchemePoint all = frozen_point(subject.space);
  all.bias_last = subject.space.depth();
  for (size_t l = 0; l < all.options.size(); ++l)
    all.options[l] = static_cast<int>(subject.space.layers[l].options.size()) - 1;
  FinalsOptions with;
  with.finalists = 1;
  with.measure.steps = 12;
  with.measure.session.backend = BackendChoice::reference;
  const auto finals = [&](double rate) {
    with.measure.rate = rate;
    return hold_finals(subject.model, subject.options, evaluator, {evaluator.evaluate(all)},
                       subject.budget, *subject.examples, with);
  };
  const std::vector<Finalist> finalists = finals(600);
  const auto full = std::find_if(finalists.begin(), finalists.end(), [&](const Finalist& finalist) {
    return finalist.scheme.point == all;
  });
  REQUIRE(full != finalists.end());
  CHECK(full->rate < 600);
  CHECK(std::isfinite(full->reached.loss));
  CHECK_THROWS_WITH_AS(finals(1e38), doctest::Contains("every finalist diverges"), Error);
}

}  // namespace attune::test
