#include "attune/trainer.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "tests/training/tiny_plan.h"

namespace attune {
namespace {

// The tiny model in double, trained by plain gradient descent.
struct Reference {
  double w[3][4], b[3];
  Reference() {
    for (int o = 0; o < 3; ++o) {
      for (int i = 0; i < 4; ++i) w[o][i] = tiny_weight(o, i);
      b[o] = tiny_bias(o);
    }
  }
  // Adds the example's loss and whether it is right; `p` receives the probabilities.
  void forward(int64_t example, double* loss, double* correct, double* p) const {
    double z[3], sum = 0;
    for (int o = 0; o < 3; ++o) {
      z[o] = b[o];
      for (int i = 0; i < 4; ++i) z[o] += w[o][i] * TinyDataset::feature(example, i);
      sum += std::exp(z[o]);
    }
    for (int o = 0; o < 3; ++o) p[o] = std::exp(z[o]) / sum;
    *loss -= std::log(p[TinyDataset::label(example)]);
    *correct += std::max_element(z, z + 3) - z == TinyDataset::label(example);
  }
  double train(std::span<const int64_t> batch, double rate) {
    double loss = 0, correct = 0, dw[3][4] = {}, db[3] = {};
    for (int64_t example : batch) {
      double p[3];
      forward(example, &loss, &correct, p);
      for (int o = 0; o < 3; ++o) {
        const double d = (p[o] - (o == TinyDataset::label(example))) / double(batch.size());
        db[o] += d;
        for (int i = 0; i < 4; ++i) dw[o][i] += d * TinyDataset::feature(example, i);
      }
    }
    for (int o = 0; o < 3; ++o) {
      b[o] -= rate * db[o];
      for (int i = 0; i < 4; ++i) w[o][i] -= rate * dw[o][i];
    }
    return loss / double(batch.size());
  }
};

std::unique_ptr<Trainer> make_trainer(Tiny& tiny, Dataset& data, const TrainOptions& options) {
  std::unique_ptr<Trainer> trainer;
  const Status status = Trainer::create(tiny.session(), data, options, &trainer);
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  return trainer;
}

void run(Trainer& trainer, int64_t steps) {
  for (int64_t i = 0; i < steps; ++i) {
    const Status status = trainer.step();
    REQUIRE_MESSAGE(status.is_ok(), status.message());
  }
}

std::string error_of(const Status& status) { return status ? "" : status.message(); }

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::byte> state_of(Tiny& tiny) {
  return {tiny.session().state().begin(), tiny.session().state().end()};
}

TinyOptions in_double() {
  TinyOptions options;
  options.real = DType::f64;
  return options;
}

}  // namespace

TEST_CASE("training computes what gradient descent computes, partial batches included") {
  Tiny tiny(in_double());
  TinyDataset data(6, DType::f64);  // batches of 4 and 2
  TrainOptions options;
  options.epochs = 3;
  options.schedule.base = 0.5;
  options.shuffle = false;
  auto trainer = make_trainer(tiny, data, options);
  CHECK(trainer->steps_per_epoch() == 2);
  CHECK(trainer->total_steps() == 6);

  Reference reference;
  const int64_t first[] = {0, 1, 2, 3}, second[] = {4, 5};
  for (int epoch = 0; epoch < 3; ++epoch) {
    const double a = reference.train(first, 0.5);
    run(*trainer, 1);
    CHECK(trainer->progress().last_loss == doctest::Approx(a).epsilon(1e-13));
    CHECK(trainer->progress().loss_sum == doctest::Approx(a * 4).epsilon(1e-13));
    CHECK(trainer->progress().weight_sum == 4);
    CHECK_FALSE(trainer->epoch_ended());
    const double b = reference.train(second, 0.5);
    run(*trainer, 1);
    CHECK(trainer->progress().last_loss == doctest::Approx(b).epsilon(1e-13));
    CHECK(trainer->epoch_ended());
    CHECK(trainer->last_epoch().loss == doctest::Approx((4 * a + 2 * b) / 6).epsilon(1e-13));
    CHECK(trainer->last_epoch().examples == 6);
    CHECK(trainer->progress().epoch == epoch + 1);
    CHECK(trainer->progress().batch == 0);
    CHECK(trainer->progress().weight_sum == 0);
  }
  const auto* w = reinterpret_cast<const double*>(tiny.session().state().data());
  for (int o = 0; o < 3; ++o)
    for (int i = 0; i < 4; ++i)
      CHECK(w[o * 4 + i] == doctest::Approx(reference.w[o][i]).epsilon(1e-13));
  CHECK(trainer->done());
  CHECK(contains(error_of(trainer->step()), "done after 6 steps"));
}

TEST_CASE("evaluation is the mean over all examples, whatever the batch") {
  for (int batch : {1, 3, 5, 16}) {
    CAPTURE(batch);
    TinyOptions plan = in_double();
    plan.evaluate_batch = batch;
    Tiny tiny(plan);
    TinyDataset data(10, DType::f64);
    double loss = 0, correct = 0, p[3];
    for (int64_t i = 0; i < 10; ++i) Reference().forward(i, &loss, &correct, p);
    Evaluation evaluation;
    const Status status = evaluate(tiny.session(), data, &evaluation);
    REQUIRE_MESSAGE(status.is_ok(), status.message());
    CHECK(evaluation.loss == doctest::Approx(loss / 10).epsilon(1e-13));
    CHECK(evaluation.accuracy == doctest::Approx(correct / 10).epsilon(1e-15));
    CHECK(evaluation.examples == 10);
  }
}

TEST_CASE("evaluation changes no state") {
  Tiny tiny;
  TinyDataset data(7);
  const auto before = state_of(tiny);
  Evaluation evaluation;
  CHECK(evaluate(tiny.session(), data, &evaluation));
  CHECK(state_of(tiny) == before);
}

TEST_CASE("each optimizer lowers the loss, in float and in double, for slices too") {
  for (DType real : {DType::f32, DType::f64})
    for (const char* optimizer : {"sgd", "momentum", "adam"})
      for (bool sliced : {false, true}) {
        CAPTURE(optimizer);
        CAPTURE(sliced);
        TinyOptions plan;
        plan.real = real;
        plan.optimizer = optimizer;
        plan.sliced = sliced;
        Tiny tiny(plan);
        TinyDataset data(9, real);
        TrainOptions options;
        options.epochs = 30;
        options.schedule.base = 0.05;
        Evaluation before, after;
        CHECK(evaluate(tiny.session(), data, &before));
        auto trainer = make_trainer(tiny, data, options);
        run(*trainer, trainer->total_steps());
        CHECK(trainer->done());
        CHECK(evaluate(tiny.session(), data, &after));
        CHECK(after.loss < before.loss - 0.01);
        if (!sliced || real != DType::f32) continue;
        const auto* w = reinterpret_cast<const float*>(tiny.session().state().data());
        for (int i = 0; i < 4; ++i) {
          CHECK(w[4 + i] == static_cast<float>(tiny_weight(1, i)));
          CHECK(w[i] != static_cast<float>(tiny_weight(0, i)));
        }
      }
}

TEST_CASE("every epoch reads every example once, in another order, without shuffling in place") {
  Tiny tiny;
  TinyDataset data(11);
  TrainOptions options;
  options.epochs = 3;
  options.seed = 4;
  auto trainer = make_trainer(tiny, data, options);
  std::vector<std::vector<int64_t>> epochs;
  for (int epoch = 0; epoch < 3; ++epoch) {
    data.reads.clear();
    run(*trainer, 3);
    epochs.push_back(data.reads);
    auto sorted = data.reads;
    std::sort(sorted.begin(), sorted.end());
    REQUIRE(sorted.size() == 11);
    for (int64_t i = 0; i < 11; ++i) CHECK(sorted[static_cast<size_t>(i)] == i);
  }
  CHECK(epochs[0] != epochs[1]);
  CHECK(epochs[1] != epochs[2]);
}

TEST_CASE("a run resumed after any step continues bit for bit") {
  TinyOptions plan;
  plan.optimizer = "adam";
  TrainOptions options;
  options.epochs = 3;
  options.seed = 12;
  options.schedule.kind = ScheduleKind::cosine;
  options.schedule.base = 0.1;
  options.schedule.warmup_steps = 2;
  Tiny whole(plan);
  TinyDataset data(10);
  auto trainer = make_trainer(whole, data, options);
  std::vector<TrainProgress> positions{trainer->progress()};
  std::vector<std::vector<std::byte>> states{state_of(whole)};
  while (!trainer->done()) {
    run(*trainer, 1);
    positions.push_back(trainer->progress());
    states.push_back(state_of(whole));
  }
  REQUIRE(positions.size() == 10);
  for (size_t at = 0; at < positions.size(); ++at) {
    CAPTURE(at);
    Tiny resumed(plan);
    auto again = make_trainer(resumed, data, options);
    std::memcpy(resumed.session().state().data(), states[at].data(), states[at].size());
    const Status status = again->resume(positions[at]);
    REQUIRE_MESSAGE(status.is_ok(), status.message());
    CHECK(again->total_steps() == 9);
    run(*again, static_cast<int64_t>(positions.size() - 1 - at));
    CHECK(again->done());
    CHECK(state_of(resumed) == states.back());
    CHECK(std::memcmp(&again->progress(), &positions.back(), sizeof(TrainProgress)) == 0);
  }
}

class WeightedDataset : public TinyDataset {
 public:
  WeightedDataset(std::vector<double> weights, DType real = DType::f32)
      : TinyDataset(static_cast<int64_t>(weights.size()), real), weights(std::move(weights)) {}
  double weight(int64_t index) override { return weights[static_cast<size_t>(index)]; }
  std::vector<double> weights;
};

TEST_CASE("an example of weight 3 counts as three, in training and in evaluation") {
  Tiny tiny(in_double());
  WeightedDataset data({3, 1, 0, 1, 0.5, 0.25}, DType::f64);
  TrainOptions options;
  options.epochs = 2;
  options.schedule.base = 0.5;
  options.shuffle = false;
  auto trainer = make_trainer(tiny, data, options);
  Reference reference;
  const int64_t first[] = {0, 0, 0, 1, 3}, second[] = {4, 4, 5};
  for (int epoch = 0; epoch < 2; ++epoch) {
    const double a = reference.train(first, 0.5);
    run(*trainer, 1);
    CHECK(trainer->progress().last_loss == doctest::Approx(a).epsilon(1e-13));
    CHECK(trainer->progress().weight_sum == 5);
    const double b = reference.train(second, 0.5);
    run(*trainer, 1);
    CHECK(trainer->last_epoch().loss == doctest::Approx((5 * a + 0.75 * b) / 5.75).epsilon(1e-13));
    CHECK(trainer->last_epoch().examples == 6);
  }
  const auto* w = reinterpret_cast<const double*>(tiny.session().state().data());
  for (int o = 0; o < 3; ++o)
    for (int i = 0; i < 4; ++i)
      CHECK(w[o * 4 + i] == doctest::Approx(reference.w[o][i]).epsilon(1e-13));

  double loss = 0, correct = 0;
  for (int64_t i = 0; i < data.size(); ++i) {
    double one = 0, right = 0, p[3];
    reference.forward(i, &one, &right, p);
    loss += data.weight(i) * one;
    correct += data.weight(i) * right;
  }
  Evaluation measured;
  REQUIRE(evaluate(tiny.session(), data, &measured));
  CHECK(measured.loss == doctest::Approx(loss / 5.75).epsilon(1e-13));
  CHECK(measured.accuracy == doctest::Approx(correct / 5.75).epsilon(1e-13));
  CHECK(measured.examples == 6);
}

TEST_CASE(
    "a batch that weighs nothing changes nothing; no weight at all, or a false one, is told") {
  Tiny tiny;
  WeightedDataset data({0, 0, 0, 0, 1, 1});
  TrainOptions options;
  options.shuffle = false;
  options.schedule.base = 0.5;
  auto trainer = make_trainer(tiny, data, options);
  const std::vector<std::byte> before = state_of(tiny);
  run(*trainer, 1);
  CHECK(state_of(tiny) == before);
  run(*trainer, 1);
  CHECK(state_of(tiny) != before);
  CHECK(trainer->last_epoch().loss == trainer->progress().last_loss);

  WeightedDataset nothing({0, 0, 0});
  trainer = make_trainer(tiny, nothing, options);
  CHECK(contains(error_of(trainer->step()), "every example has the weight 0"));
  Evaluation measured;
  CHECK(contains(error_of(evaluate(tiny.session(), nothing, &measured)), "has the weight 0"));
  for (double bad : {-1.0, std::numeric_limits<double>::quiet_NaN(), 1e300}) {
    WeightedDataset wrong({1, bad, 1});
    CHECK(contains(error_of(evaluate(tiny.session(), wrong, &measured)), ": the weight "));
  }
}

TEST_CASE("a weighted run resumes within an epoch, with the same weights alone") {
  TrainOptions options;
  options.epochs = 2;
  options.schedule.base = 0.5;
  WeightedDataset data({0.1, 0.7, 2, 3, 0.3, 1, 1, 0.9, 4, 0.2});
  Tiny whole;
  auto trainer = make_trainer(whole, data, options);
  run(*trainer, 2);
  const TrainProgress middle = trainer->progress();
  const std::vector<std::byte> state = state_of(whole);
  run(*trainer, 4);
  Tiny resumed;
  auto again = make_trainer(resumed, data, options);
  std::memcpy(resumed.session().state().data(), state.data(), state.size());
  CHECK(error_of(again->resume(middle)) == "");
  run(*again, 4);
  CHECK(state_of(resumed) == state_of(whole));
  data.weights[3] = data.weights[4] = data.weights[0] = 5;
  again = make_trainer(resumed, data, options);
  CHECK(contains(error_of(again->resume(middle)), "use the same data"));
}

TEST_CASE("a number of steps ends a run, past or within the epochs") {
  Tiny tiny;
  TinyDataset data(10);
  TrainOptions options;
  options.epochs = 1;
  options.steps = 7;
  auto trainer = make_trainer(tiny, data, options);
  CHECK(trainer->total_steps() == 7);
  run(*trainer, 7);
  CHECK(trainer->done());
  CHECK(trainer->progress().epoch == 2);
  CHECK(trainer->progress().batch == 1);
}

TEST_CASE("between epochs the batch size may change, within one it may not") {
  TinyDataset data(10);
  TrainOptions options;
  options.epochs = 4;
  Tiny by_four;
  auto trainer = make_trainer(by_four, data, options);
  run(*trainer, 3);
  const TrainProgress boundary = trainer->progress();
  run(*trainer, 1);
  const TrainProgress middle = trainer->progress();
  TinyOptions plan;
  plan.train_batch = 5;
  Tiny by_five(plan);
  auto other = make_trainer(by_five, data, options);
  CHECK(contains(error_of(other->resume(middle)), "same batch size"));
  CHECK(other->total_steps() == 8);
  CHECK(other->resume(boundary));
  CHECK(other->total_steps() == 3 + 3 * 2);
  run(*other, 6);
  CHECK(other->done());
}

TEST_CASE("positions that training never reaches are refused, and change nothing") {
  Tiny tiny;
  TinyDataset data(10);
  TrainOptions options;
  options.epochs = 2;
  auto trainer = make_trainer(tiny, data, options);
  const double kNan = std::numeric_limits<double>::quiet_NaN();
  const int64_t kMost = std::numeric_limits<int64_t>::max();
  TrainProgress good;
  good.step = 4;
  good.epoch = 1;
  good.batch = 1;
  good.weight_sum = 4;
  good.correct_sum = 1;
  const auto with = [&](auto change) {
    TrainProgress p = good;
    change(p);
    return p;
  };
  const TrainProgress bad[] = {
      with([](auto& p) { p.step = -1; }),
      with([&](auto& p) { p.step = kMost; }),
      with([](auto& p) { p.epoch = -1; }),
      with([&](auto& p) { p.epoch = kMost; }),
      with([](auto& p) { p.batch = -1; }),
      with([&](auto& p) { p.batch = kMost; }),
      with([](auto& p) { p.batch = 3, p.weight_sum = 12; }),
      with([](auto& p) { p.weight_sum = 3; }),
      with([&](auto& p) { p.weight_sum = kNan; }),
      with([](auto& p) { p.correct_sum = 5; }),
      with([&](auto& p) { p.loss_sum = kNan; }),
      with([](auto& p) { p.batch = 0; }),
  };
  for (const TrainProgress& p : bad) {
    CHECK_FALSE(trainer->resume(p));
    CHECK(trainer->progress().step == 0);
    CHECK(trainer->total_steps() == 6);
  }
  CHECK(trainer->resume(good));
  run(*trainer, 2);
  CHECK(trainer->done());
}

TEST_CASE("what cannot be trained is refused before training") {
  Tiny tiny;
  std::unique_ptr<Trainer> trainer;
  TrainOptions options;
  const auto error = [&](TinyDataset& data) {
    return error_of(Trainer::create(tiny.session(), data, options, &trainer));
  };
  TinyDataset data(5), empty(0), unlabelled(5), wrong(5, DType::f64);
  CHECK(contains(error(empty), "no examples"));
  unlabelled.has_labels = false;
  CHECK(contains(error(unlabelled), "no labels"));
  CHECK(contains(error(wrong), "tiny: 16 bytes of field 0 asked for"));
  options.epochs = 0;
  CHECK(contains(error(data), "epochs"));
  options.steps = 1;
  CHECK(error(data) == "");
  options.steps = -1;
  CHECK(contains(error(data), "steps"));
  options = {};
  options.epochs = int64_t{1} << 31;
  CHECK(contains(error(data), "epochs"));
  options.epochs = (int64_t{1} << 31) - 1;  // of two steps
  CHECK(contains(error(data), "fewer epochs"));
  options = {};
  options.schedule.base = -1;
  CHECK(contains(error(data), "learning rate"));
  CHECK(trainer != nullptr);  // from the one that worked
}

TEST_CASE("a plan without evaluation says what to do") {
  TinyOptions plan;
  plan.evaluates = false;
  Tiny tiny(plan);
  TinyDataset data(5);
  Evaluation evaluation;
  CHECK(contains(error_of(evaluate(tiny.session(), data, &evaluation)), "compile the plan again"));
}

TEST_CASE("errors of the data pass through, and the step did not happen") {
  Tiny tiny;
  TinyDataset data(8);
  TrainOptions options;
  options.shuffle = false;
  auto trainer = make_trainer(tiny, data, options);
  run(*trainer, 1);
  const auto before = state_of(tiny);
  data.broken = 6;
  CHECK(error_of(trainer->step()) == "tiny: example 6 is broken");
  data.broken = -1;
  data.mislabelled = 5;
  CHECK(error_of(trainer->step()) == "tiny[5]: label 3 is outside the plan's classes, 0 .. 2");
  CHECK(state_of(tiny) == before);
  CHECK(trainer->progress().step == 1);
  data.mislabelled = -1;
  run(*trainer, 1);
  CHECK(trainer->done());
}

TEST_CASE("a loss that is not finite names the step and gives advice") {
  Tiny tiny;
  TinyDataset data(8);
  TrainOptions options;
  options.epochs = 2;
  auto trainer = make_trainer(tiny, data, options);
  run(*trainer, 2);
  data.factor = std::numeric_limits<double>::infinity();
  const std::string error = error_of(trainer->step());
  CHECK(contains(error, "step 3 (epoch 2"));
  CHECK(contains(error, "lower the learning rate"));
  CHECK(trainer->progress().step == 2);
  Evaluation evaluation;
  CHECK(contains(error_of(evaluate(tiny.session(), data, &evaluation)), "tiny[0]"));
}

TEST_CASE("one example and batches larger than the data work") {
  for (int64_t count : {1, 3}) {
    Tiny tiny(in_double());
    TinyDataset data(count, DType::f64);
    TrainOptions options;
    options.schedule.base = 0.2;
    options.shuffle = false;
    auto trainer = make_trainer(tiny, data, options);
    CHECK(trainer->steps_per_epoch() == 1);
    run(*trainer, 1);
    Reference reference;
    const int64_t all[] = {0, 1, 2};
    const double loss = reference.train(std::span(all).first(static_cast<size_t>(count)), 0.2);
    CHECK(trainer->last_epoch().loss == doctest::Approx(loss).epsilon(1e-13));
    CHECK(trainer->last_epoch().examples == count);
  }
}

}  // namespace attune
