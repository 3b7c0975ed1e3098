#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "attune/trainer.h"
#include "graph/ir/error.h"
#include "sparse_update/adapt/class_match.h"
#include "sparse_update/adapt/tune.h"
#include "sparse_update/pipeline/export.h"
#include "sparse_update/pipeline/plan_in_memory.h"
#include "tests/search/subjects.h"

namespace attune::test {
namespace {

Judged judged(std::vector<double> losses, std::vector<double> right) {
  return {std::move(losses), std::move(right)};
}

// `count` examples of which every `wrong`th is wrong, with losses to match.
Judged mostly_right(int count, int wrong) {
  Judged made;
  for (int i = 0; i < count; ++i) {
    const bool is_wrong = wrong > 0 && i % wrong == 0;
    made.losses.push_back((is_wrong ? 2.5 : 0.2) + 0.01 * (i % 7));
    made.right.push_back(is_wrong ? 0 : 1);
  }
  return made;
}

ExamplesInMemory patterns(const Model& model, int64_t count, uint64_t seed) {
  CompileOptions options = options_for("head");
  options.classes = 4;
  const PlanInMemory loaded(compile(model, options).plan, "plan");
  std::unique_ptr<Session> session;
  throw_if_error(Session::create(loaded.plan(), {}, &session));
  Patterns data(count, seed);
  return take_examples(data, *session, count, 1);
}

}  // namespace

TEST_CASE("guessing is the commonest class with its share for a probability, or the mean") {
  const Judged classes = guessed_classes({{0}, {1}, {1}, {1}});
  CHECK(classes.accuracy() == doctest::Approx(0.75));
  CHECK(classes.loss() == doctest::Approx(-(std::log(0.25) + 3 * std::log(0.75)) / 4));
  const Judged positions = guessed_classes({{0, 1}, {1, 1}});
  CHECK(positions.right == std::vector<double>{0.5, 1});
  const Judged numbers = guessed_numbers({{1, 10}, {3, 10}});
  CHECK(numbers.losses == std::vector<double>{0.5, 0.5});
  CHECK(!numbers.has_classes());
}

TEST_CASE("what may be chance is not adopted") {
  std::string why;
  // Two classes, half each: 10 of 16 are no news, 15 are.
  Judged guessed = judged(std::vector<double>(16, std::log(2)), std::vector<double>(16, 0.5));
  Judged some = mostly_right(16, 0), most = some;
  for (int i = 0; i < 6; ++i) some.right[i] = 0;
  most.right[0] = 0;
  CHECK(!is_better(some, nullptr, &guessed, &why));
  CHECK(why.find("chance") != std::string::npos);
  CHECK(is_better(most, nullptr, &guessed, &why));
  // Right, but no surer of it than guessing.
  most.losses.assign(16, std::log(2));
  CHECK(!is_better(most, nullptr, &guessed, &why));
  CHECK(why.find("guessing") != std::string::npos);
}

TEST_CASE("clearly worse is what has higher losses, or fewer right, by more than chance explains") {
  const Judged good = mostly_right(400, 40);
  Judged some = good, fewer = good, higher = good;
  for (int i = 1; i < 4; ++i) some.right[i] = 0;  // three more are wrong
  for (int i = 1; i < 20; ++i) fewer.right[i] = 0;
  for (double& loss : higher.losses) loss += 0.01;
  CHECK(!clearly_worse(good, good, 0.5));
  CHECK(!clearly_worse(some, good, 2));
  CHECK(clearly_worse(some, good, 1));
  CHECK(clearly_worse(fewer, good, 3));
  CHECK(!clearly_worse(good, fewer, 0));
  CHECK(clearly_worse(higher, good, 3));
}

TEST_CASE("what is no better than the original model is not adopted") {
  std::string why;
  const Judged good = mostly_right(40, 10), better = mostly_right(40, 20),
               worse = mostly_right(40, 4);
  CHECK(is_better(better, &good, nullptr, &why));
  CHECK(!is_better(worse, &good, nullptr, &why));
  CHECK(why.find("the original model gets 90.0 %") != std::string::npos);
  CHECK(!is_better(good, &good, nullptr, &why));
  // As many are right, and all losses are a little lower.
  Judged surer = good;
  for (double& loss : surer.losses) loss -= 0.05;
  CHECK(is_better(surer, &good, nullptr, &why));
}

TEST_CASE("classes are matched to the outputs that are predicted for them") {
  // Four outputs, three classes: class 0 is output 2, 1 is 0, 2 is 3; one example of each is wrong.
  const int32_t output_of[] = {2, 0, 3};
  std::vector<int32_t> labels;
  std::vector<std::vector<double>> probabilities;
  for (int i = 0; i < 30; ++i) {
    labels.push_back(i % 3);
    std::vector<double> row(4, 0.1);
    row[i < 3 ? 1 : output_of[i % 3]] = 0.7;
    probabilities.push_back(row);
  }
  const ClassMatch match = match_classes(labels, probabilities, 3);
  CHECK(match.output_of == std::vector<int32_t>{2, 0, 3});
  CHECK(match.agreement == doctest::Approx(0.9));
  CHECK(match.certain);
  // Whatever the label, the same is predicted.
  for (size_t i = 0; i < labels.size(); ++i) probabilities[i] = probabilities[29 - i / 10];
  CHECK(!match_classes(labels, probabilities, 3).certain);
}

TEST_CASE("few examples are all judged, in parts that take turns; many in a part of them") {
  const OnnxModel model = small_net();
  const ExamplesInMemory few = patterns(model, 42, 3);
  const ExamplesInMemory judged = judged_examples(few, 5);
  REQUIRE(judged.size() == 42);
  std::map<std::string, int> first_part;  // a quarter of every label
  std::map<std::string, int> all;
  const auto label = [](const ExamplesInMemory& e, int64_t i) {
    const auto bytes = e.target(i);
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  for (int64_t i = 0; i < 42; ++i) ++all[label(judged, i)];
  for (int64_t i = 0; i < 11; ++i) ++first_part[label(judged, i)];
  for (const auto& [which, count] : all) CHECK(std::abs(first_part[which] - count / 4.0) <= 1);
  CHECK(judged_examples(patterns(model, 1200, 3), 5).size() == 240);
}

TEST_CASE("tune finds a setting that learns, and its state is that of the setting") {
  const OnnxModel model = small_net();
  CompileOptions options = options_for("head");
  options.classes = 4;
  for (const int64_t count : {60, 1000}) {
    CAPTURE(count);
    const ExamplesInMemory examples = patterns(model, count, 3);
    TuneOptions tuning;
    tuning.seconds = 2;
    tuning.backend = BackendChoice::reference;
    tuning.threads = 2;
    const Tuned tuned = tune(model, options, examples, tuning);
    ExamplesInMemory judged = judged_examples(examples, tuning.seed);
    REQUIRE(std::ssize(tuned.judged.losses) == judged.size());
    CHECK(tuned.folds == (count < kFewExamples ? 4 : 1));
    CHECK(tuned.judged.accuracy() > 0.6);
    CHECK(tuned.settings >= 10);

    // Another set of the same kind, by the model that is written.
    const PlanInMemory plan(tuned.plan, "plan");
    const ModelPtr adapted =
        parse_model(exported_model(model, plan.plan(), tuned.state), "adapted");
    CompileOptions as_is = options_for("head");
    as_is.evaluate_batch = 1;
    const PlanInMemory loaded(compile(*adapted, as_is).plan, "adapted");
    std::unique_ptr<Session> session;
    throw_if_error(Session::create(loaded.plan(), {}, &session));
    Patterns others(100, 77);
    Judged now;
    REQUIRE(judge(*session, others, &now));
    CHECK(now.accuracy() > 0.6);

    // The same with any number of threads.
    tuning.threads = 1;
    const Tuned again = tune(model, options, examples, tuning);
    CHECK(again.state == tuned.state);
    CHECK(again.setting.scheme == tuned.setting.scheme);
    CHECK(again.setting.rate == tuned.setting.rate);
  }
}

// Patterns with the labels of others: what is learned of these is learned by heart.
class WrongLabels : public Patterns {
 public:
  explicit WrongLabels(int64_t size) : Patterns(size, 3) {}
  Status read(int64_t index, int field, std::span<std::byte> bytes) override {
    return Patterns::read(field == kTargetField ? (index * 7 + 5) % size() : index, field, bytes);
  }
};

TEST_CASE("of few examples what is judged is what the setting gives at its end, learned by heart") {
  const OnnxModel model = small_net();
  CompileOptions options = options_for("head");
  options.classes = 4, options.evaluate_batch = 1;
  const auto session_of = [](const PlanInMemory& plan) {
    SessionOptions reference;
    reference.backend = BackendChoice::reference;
    std::unique_ptr<Session> session;
    throw_if_error(Session::create(plan.plan(), reference, &session));
    return session;
  };
  const PlanInMemory head(compile(model, options).plan, "head");
  WrongLabels data(40);
  const ExamplesInMemory examples = take_examples(data, *session_of(head), 40, 1);
  TuneOptions tuning;
  tuning.seconds = 2;
  tuning.backend = BackendChoice::reference;
  const Tuned tuned = tune(model, options, examples, tuning);
  options.scheme = tuned.setting.scheme;
  const PlanInMemory by_hand(compile(model, options).plan, "by hand");
  std::vector<double> losses;
  for (TaskExamples& part : parts_of(examples, tuning.seed)) {
    const auto session = session_of(by_hand);
    TrainOptions train;
    train.epochs = tuned.setting.epochs;
    train.schedule = {.kind = ScheduleKind::cosine,
                      .base = tuned.setting.rate,
                      .warmup_steps = (part.training.size() + 3) / 4 * train.epochs / 10};
    std::unique_ptr<Trainer> trainer;
    throw_if_error(Trainer::create(*session, part.training, train, &trainer));
    while (!trainer->done()) throw_if_error(trainer->step());
    Judged end;
    REQUIRE(judge(*session, part.validation, &end));
    losses.insert(losses.end(), end.losses.begin(), end.losses.end());
  }
  CHECK(losses == tuned.judged.losses);
}

TEST_CASE("tune keeps a budget, and says what the smallest takes where nothing fits") {
  const OnnxModel model = small_net();
  CompileOptions options = options_for("head");
  options.classes = 4;
  const ExamplesInMemory examples = patterns(model, 60, 3);
  TuneOptions tuning;
  tuning.seconds = 0.5;
  tuning.backend = BackendChoice::reference;
  tuning.budget.memory_bytes = 12'000;
  const Tuned tuned = tune(model, options, examples, tuning);
  const PlanInMemory plan(tuned.plan, "plan");
  SessionOptions session_options;
  session_options.backend = BackendChoice::reference;
  std::unique_ptr<Session> session;
  throw_if_error(Session::create(plan.plan(), session_options, &session));
  CHECK(session->memory().ram() <= 12'000);
  tuning.budget.memory_bytes = 500;
  CHECK_THROWS_WITH_AS(tune(model, options, examples, tuning), doctest::Contains("500"), Error);
}

}  // namespace attune::test
