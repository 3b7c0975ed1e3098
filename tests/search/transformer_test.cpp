// Schemes of transformers are estimated, searched for, tuned and trained as those of other
// networks.
#include "tests/support/transformer.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "attune/trainer.h"
#include "engine/random.h"
#include "graph/ir/error.h"
#include "sparse_update/adapt/tune.h"
#include "sparse_update/pipeline/plan_in_memory.h"
#include "sparse_update/search/search.h"
#include "sparse_update/sensitivity/estimate_gains.h"
#include "sparse_update/sensitivity/fine_tuner.h"
#include "tests/cost/support.h"
#include "tests/search/subjects.h"

namespace attune::test {
namespace {

constexpr TransformerSizes kSizes;

// Ids of which one is a marker, anywhere behind the first: the class is which.
class Markers : public Dataset {
 public:
  Markers(int64_t size, uint64_t seed) {
    Random random(seed, 2);
    for (int64_t i = 0; i < size; ++i) {
      std::vector<int32_t> ids = {0};
      while (std::ssize(ids) < kSizes.length)
        ids.push_back(1 + static_cast<int32_t>(random.below(kOthers)));
      labels_.push_back(static_cast<int32_t>(random.below(kSizes.classes)));
      ids[1 + random.below(kSizes.length - 1)] = 1 + kOthers + labels_.back();
      ids_.push_back(std::move(ids));
    }
  }
  int64_t size() const override { return std::ssize(labels_); }
  bool labelled() const override { return true; }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override {
    const auto at = static_cast<size_t>(index);
    const int32_t* from = field == kTargetField ? &labels_[at] : ids_[at].data();
    std::memcpy(bytes.data(), from, bytes.size());
    return {};
  }
  std::string_view describe(int64_t) override { return "markers"; }

 private:
  static constexpr int kOthers = 10;
  std::vector<std::vector<int32_t>> ids_;
  std::vector<int32_t> labels_;
};

struct Subject {
  OnnxModel model;
  CompileOptions options = options_for("head");
  CostModel cost_model{flat_target(1), BackendChoice::reference};

  explicit Subject(Family family) : model(transformer(family, Exporter::dynamo)) {}

  size_t cost(const std::string& scheme) {
    CompileOptions with = options;
    with.scheme = scheme;
    return cost_model.cost(compile(model, with).contents).ram_bytes();
  }
  ExamplesInMemory examples(int64_t count) {
    const PlanInMemory loaded(compile(model, options).plan, "plan");
    std::unique_ptr<Session> session;
    throw_if_error(Session::create(loaded.plan(), {}, &session));
    Markers data(count, 3);
    return take_examples(data, *session, count, 1);
  }
};

}  // namespace

TEST_CASE("a transformer's scheme is searched for within a budget, and learns more than the head") {
  for (const Family family : {Family::bert, Family::llama}) {
    Subject subject(family);
    const ExamplesInMemory examples = subject.examples(120);
    EstimateOptions estimate_with;
    estimate_with.head_epochs = 2;
    estimate_with.measure.rate = 0.02;
    estimate_with.measure.session.backend = BackendChoice::reference;
    const Estimate estimate =
        estimate_gains(subject.model, subject.options, examples, estimate_with);
    CHECK(estimate.space.depth() == (family == Family::bert ? 14 : 15));
    for (size_t l = 0; l < estimate.gains.weight.size(); ++l) {
      // Shares of the input channels; a table of rows has none.
      CHECK(estimate.gains.weight[l].size() == (l == 0 ? 1 : 4));
      for (const double gain : estimate.gains.weight[l]) CHECK(std::isfinite(gain));
    }

    const size_t head = subject.cost("head"), full = subject.cost("full");
    Budget budget;
    budget.memory_bytes = (2 * head + full) / 3;
    SchemeEvaluator evaluator(subject.model, subject.options, estimate.space, estimate.gains,
                              subject.cost_model, 1);
    const ChoiceCosts costs(evaluator, {});
    const SearchResult found =
        search_scheme(evaluator, costs, {.budget = budget, .evaluations = 20});
    const std::string scheme = scheme_json(estimate.space, found.best.point);
    CHECK(found.best.gain > 0);
    CHECK(budget.allows(found.best.cost));
    CHECK(subject.cost(scheme) == found.best.cost.ram_bytes());

    const auto reached = [&](const std::string& what) {
      CompileOptions with = subject.options;
      with.scheme = what;
      with.evaluate_batch = 1;
      const PlanInMemory plan(compile(subject.model, with).plan, "plan");
      SessionOptions reference;
      reference.backend = BackendChoice::reference;
      std::unique_ptr<Session> session;
      throw_if_error(Session::create(plan.plan(), reference, &session));
      ExamplesInMemory all = examples;
      TrainOptions train;
      train.epochs = 12;
      train.schedule = {.kind = ScheduleKind::cosine, .base = 0.02};
      std::unique_ptr<Trainer> trainer;
      throw_if_error(Trainer::create(*session, all, train, &trainer));
      while (!trainer->done()) throw_if_error(trainer->step());
      Markers others(120, 77);
      Judged judged;
      REQUIRE(judge(*session, others, &judged));
      return judged;
    };
    const Judged of_scheme = reached(scheme), of_head = reached("head");
    CHECK(of_scheme.loss() < of_head.loss());
    CHECK(of_scheme.accuracy() > 0.8);
  }
}

TEST_CASE("tune finds a setting of a transformer that learns") {
  Subject subject(Family::bert);
  TuneOptions tuning;
  tuning.seconds = 3;
  tuning.backend = BackendChoice::reference;
  const Tuned tuned = tune(subject.model, subject.options, subject.examples(120), tuning);
  CHECK(tuned.judged.accuracy() > 0.6);
  CHECK(tuned.settings >= 10);
}

}  // namespace attune::test
