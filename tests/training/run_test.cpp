#include "attune/run.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "tests/training/checkpoint_files.h"
#include "tests/training/tiny_plan.h"

// Training that makes a model worse never replaces a good one.
namespace attune {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// The examples of TinyDataset with something wrong about them.
class Wrong : public Dataset {
 public:
  enum class Kind { nothing, rotated_labels, silence, one_class, not_a_number, huge };
  static constexpr Kind kAll[] = {Kind::nothing,   Kind::rotated_labels, Kind::silence,
                                  Kind::one_class, Kind::not_a_number,   Kind::huge};

  Wrong(Kind kind, int64_t first, int64_t count)
      : kind_(kind), first_(first), count_(count), right_(first + count) {}
  int64_t size() const override { return count_; }
  bool labelled() const override { return true; }
  Status read(int64_t index, int field, std::span<std::byte> bytes) override {
    index += first_;
    ATTUNE_RETURN_IF_ERROR(right_.read(index, field, bytes));
    if (field == kTargetField) {
      int32_t& label = *reinterpret_cast<int32_t*>(bytes.data());
      if (kind_ == Kind::rotated_labels) label = (label + 1) % kTinyClasses;
      if (kind_ == Kind::one_class) label = 1;
      return Status::ok();
    }
    auto* x = reinterpret_cast<float*>(bytes.data());
    for (int i = 0; i < kTinyFeatures; ++i) {
      if (kind_ == Kind::silence) x[i] = 0;
      if (kind_ == Kind::huge) x[i] *= 1e37f;
    }
    if (kind_ == Kind::not_a_number && index == first_ + 5) x[1] = kNaN;
    if (++reads_ > finite_reads_from_ && reads_ <= finite_reads_to_) return Status::ok();
    if (finite_reads_to_ > 0) x[0] = kNaN;
    return Status::ok();
  }
  std::string_view describe(int64_t index) override { return right_.describe(index); }
  // Has numbers only from one read of an example's input to another.
  void finite_reads(int64_t from, int64_t to) {
    finite_reads_from_ = from;
    finite_reads_to_ = to;
    reads_ = 0;
  }

 private:
  Kind kind_;
  int64_t first_, count_, reads_ = 0, finite_reads_from_ = 0, finite_reads_to_ = 0;
  TinyDataset right_;
};
using Kind = Wrong::Kind;

std::string error_of(const Status& status) { return status ? "" : status.message(); }

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::byte> state_of(Tiny& tiny) {
  return {tiny.session().state().begin(), tiny.session().state().end()};
}

bool is_finite(Tiny& tiny) {
  const std::span<std::byte> state = tiny.session().state();
  for (size_t at = 0; at < state.size(); at += sizeof(float))
    if (!std::isfinite(*reinterpret_cast<const float*>(state.data() + at))) return false;
  return true;
}

double loss_of(Tiny& tiny, Dataset& data) {
  Evaluation evaluation;
  bool finite = false;
  REQUIRE(evaluate(tiny.session(), data, &evaluation, &finite));
  return evaluation.loss;
}

RunOptions run_options(double rate, int64_t epochs) {
  RunOptions options;
  options.train.epochs = epochs;
  options.train.schedule.base = rate;
  return options;
}

std::unique_ptr<TrainingRun> make_run(Tiny& tiny, Dataset& data, Dataset* held_out,
                                      const RunOptions& options) {
  std::unique_ptr<TrainingRun> run;
  const Status status = TrainingRun::create(tiny.session(), data, held_out, options, &run);
  REQUIRE_MESSAGE(status.is_ok(), status.message());
  return run;
}

// To the end, or to an error.
Status go(TrainingRun& run) {
  ATTUNE_RETURN_IF_ERROR(run.start());
  while (!run.done()) ATTUNE_RETURN_IF_ERROR(run.step());
  return run.finish();
}

TinyOptions with_optimizer(const char* optimizer) {
  TinyOptions options;
  options.optimizer = optimizer;
  return options;
}

}  // namespace

TEST_CASE("no rate and no data make the model worse that a run gives, or leave it not finite") {
  int gave_up = 0, went_back = 0, kept_baseline = 0, better = 0;
  for (const char* optimizer : {"sgd", "momentum", "adam"})
    for (const Kind kind : Wrong::kAll)
      for (double rate = 1e-3; rate < 2e10; rate *= 10)
        for (const bool holds_out : {true, false}) {
          CAPTURE(optimizer);
          CAPTURE(static_cast<int>(kind));
          CAPTURE(rate);
          CAPTURE(holds_out);
          Tiny tiny(with_optimizer(optimizer));
          Wrong data(kind, 0, 22), held_out(Kind::nothing, 22, 10);
          const double before = loss_of(tiny, held_out);
          const auto run =
              make_run(tiny, data, holds_out ? &held_out : nullptr, run_options(rate, 6));
          const Status status = go(*run);
          CHECK(is_finite(tiny));
          CHECK(run->info().rollbacks <= 10);
          if (kind == Kind::not_a_number) CHECK(contains(error_of(status), "the data holds"));
          if (!status) ++gave_up;
          if (run->info().rollbacks > 0) ++went_back;
          if (!holds_out) continue;
          const double after = loss_of(tiny, held_out);
          CHECK(after <= before);
          CHECK((after == before) == run->kept_baseline());
          if (kind == Kind::nothing && rate < 0.2) CHECK(after < before);
          ++(run->kept_baseline() ? kept_baseline : better);
        }
  // Every way was taken.
  CHECK(gave_up > 20);
  CHECK(went_back > 20);
  CHECK(kept_baseline > 20);
  CHECK(better > 20);
}

TEST_CASE("a run goes back to the state that it keeps, and on from there at half the rate") {
  for (const bool holds_out : {true, false}) {
    CAPTURE(holds_out);
    Tiny tiny;
    Wrong data(Kind::nothing, 0, 22), held_out(Kind::nothing, 22, 10);
    const std::vector<std::byte> before = state_of(tiny);
    // The parameters of the first step overflow, and nothing is kept of them.
    RunOptions options = run_options(3e39, 1);
    options.train.steps = 1;
    const auto run = make_run(tiny, data, holds_out ? &held_out : nullptr, options);
    REQUIRE(run->start());
    CHECK(run->rollback() == nullptr);
    CHECK((run->baseline() != nullptr) == holds_out);
    for (int count = 1; count <= 10; ++count) {
      const Status status = run->step();
      REQUIRE_MESSAGE(status.is_ok(), status.message());
      const Rollback* const back = run->rollback();
      if (!back) break;
      CHECK(back->failed_step == 1);
      CHECK(back->parameters);
      CHECK(back->step == 0);
      CHECK(back->count == count);
      CHECK(back->rate == 3e39 / std::pow(2, count));
      CHECK(run->trainer().progress().step == 0);
      CHECK_FALSE(run->epoch_ended());
      CHECK(state_of(tiny) == before);
      CHECK(run->info().options.schedule.base == back->rate);
    }
    CHECK(run->info().rollbacks > 0);
    CHECK(run->trainer().progress().step == 1);
    REQUIRE(run->finish());
    CHECK(is_finite(tiny));
    CHECK((state_of(tiny) == before) == holds_out);
  }
}

TEST_CASE("a run goes back so often and no more, and what it kept stays") {
  Tiny tiny;
  Wrong data(Kind::nothing, 0, 22);
  const std::vector<std::byte> before = state_of(tiny);
  RunOptions options = run_options(1e300, 3);
  options.most_rollbacks = 4;
  const auto run = make_run(tiny, data, nullptr, options);
  int count = 0, steps = 0;
  Status status = run->step();
  for (; status && ++steps < 100; status = run->step()) count += run->rollback() ? 1 : 0;
  CHECK(count == 4);
  CHECK(contains(error_of(status), "lower the learning rate"));
  CHECK(state_of(tiny) == before);
  CHECK(run->trainer().progress().step == 0);
  CHECK(run->info().options.schedule.base == 1e300 / 16);
}

TEST_CASE("data without a finite loss is an error at once, and the state is as it was") {
  for (const bool holds_out : {true, false}) {
    CAPTURE(holds_out);
    Tiny tiny;
    Wrong data(Kind::nothing, 0, 22), held_out(Kind::nothing, 22, 10);
    data.finite_reads(1 << 20, 1 << 21);  // none of them is a number
    const std::vector<std::byte> before = state_of(tiny);
    const auto run = make_run(tiny, data, holds_out ? &held_out : nullptr, run_options(0.1, 3));
    const Status status = go(*run);
    CHECK(contains(error_of(status), "step 1: the loss is not finite"));
    CHECK(contains(error_of(status), "the data holds such numbers"));
    CHECK(state_of(tiny) == before);
    CHECK(run->info().rollbacks == 0);
    CHECK(run->info().options.schedule.base == 0.1);
  }
}

TEST_CASE("numbers that come late end a run at the last state that was good") {
  for (const bool holds_out : {true, false}) {
    CAPTURE(holds_out);
    Tiny tiny;
    Wrong data(Kind::nothing, 0, 22), held_out(Kind::nothing, 22, 10);
    const double before = loss_of(tiny, held_out);
    const auto run = make_run(tiny, data, holds_out ? &held_out : nullptr, run_options(0.1, 30));
    data.finite_reads(0, 10 * 22 + 7);  // of ten epochs, and a batch
    const Status status = go(*run);
    CHECK(contains(error_of(status), "the data holds such numbers"));
    CHECK(run->trainer().progress().epoch == 10);
    CHECK(run->trainer().progress().batch == 0);
    CHECK(is_finite(tiny));
    CHECK(loss_of(tiny, held_out) < before);
  }
}

TEST_CASE("held-out data without a finite loss: any finite one is better, none is worse") {
  Wrong data(Kind::nothing, 0, 22);
  for (const bool first_is_finite : {true, false}) {
    CAPTURE(first_is_finite);
    Tiny tiny;
    const std::vector<std::byte> before = state_of(tiny);
    Wrong held_out(Kind::nothing, 22, 9);
    const auto run = make_run(tiny, data, &held_out, run_options(0.1, 5));
    // One is read first, and then three at a time, until a loss is not finite.
    if (first_is_finite)
      held_out.finite_reads(0, 1 + 9);
    else
      held_out.finite_reads(1 + 3, 1 << 20);
    const Status status = go(*run);
    REQUIRE_MESSAGE(status.is_ok(), status.message());
    CHECK(std::isfinite(run->baseline()->loss) == first_is_finite);
    CHECK(run->kept_baseline() == first_is_finite);
    CHECK((state_of(tiny) == before) == first_is_finite);
    CHECK(run->info().best.epoch == (first_is_finite ? 0 : 5));
    CHECK(std::isfinite(run->held_out()->loss) != first_is_finite);
  }
}

TEST_CASE("a run that is to give the last state gives it, and measures no baseline") {
  Tiny tiny;
  Wrong data(Kind::rotated_labels, 0, 22), held_out(Kind::nothing, 22, 10);
  const double before = loss_of(tiny, held_out);
  RunOptions options = run_options(0.5, 20);
  options.keep_best = false;
  const auto run = make_run(tiny, data, &held_out, options);
  REQUIRE(go(*run));
  CHECK(run->baseline() == nullptr);
  CHECK_FALSE(run->kept_baseline());
  CHECK(run->held_out()->loss > before);
  CHECK(loss_of(tiny, held_out) == run->held_out()->loss);
}

TEST_CASE("patience waits for what is better than the baseline") {
  Tiny tiny;
  Wrong data(Kind::rotated_labels, 0, 22), held_out(Kind::nothing, 22, 10);
  const std::vector<std::byte> before = state_of(tiny);
  RunOptions options = run_options(5, 40);
  options.patience = 3;
  const auto run = make_run(tiny, data, &held_out, options);
  REQUIRE(go(*run));
  CHECK(run->trainer().progress().epoch == 3);
  CHECK(run->kept_baseline());
  CHECK(run->held_out()->loss > run->baseline()->loss);
  CHECK(state_of(tiny) == before);
}

TEST_CASE("what a run gives is shown until the next step, and saved beside where the run stands") {
  TemporaryFolder folder;
  const std::string path = folder.path("a.atc");
  Tiny tiny, other;
  Wrong data(Kind::rotated_labels, 0, 22), held_out(Kind::nothing, 22, 10);
  const std::vector<std::byte> before = state_of(tiny);
  const auto run = make_run(tiny, data, &held_out, run_options(0.5, 20));
  for (int i = 0; i < 8; ++i) REQUIRE(run->step());
  const std::vector<std::byte> stands = state_of(tiny);
  REQUIRE(run->finish());
  CHECK(state_of(tiny) == before);
  REQUIRE(run->save(path.c_str()));
  CHECK(state_of(tiny) == before);
  REQUIRE(load_checkpoint(path.c_str(), other.session(), nullptr));
  CHECK(state_of(other) == before);
  REQUIRE(load_checkpoint(path.c_str(), other.session(), nullptr, CheckpointState::last));
  CHECK(state_of(other) == stands);
  REQUIRE(run->step());
  CHECK(state_of(tiny) != before);
  const auto whole = make_run(other, data, &held_out, run_options(0.5, 20));
  other.session().reset_state();
  for (int i = 0; i < 9; ++i) REQUIRE(whole->step());
  CHECK(state_of(tiny) == state_of(other));
}

TEST_CASE(
    "what another run saved stays as .old when a run saves first, and not what it was itself") {
  TemporaryFolder folder;
  const std::string path = folder.path("a.atc"), old = path + ".old";
  Tiny tiny;
  TinyDataset data(22);
  const auto steps_in = [&](const std::string& file) {
    CheckpointFacts facts;
    REQUIRE(examine_checkpoint(file.c_str(), tiny.plan(), &facts));
    return facts.info.progress.step;
  };
  const auto first = make_run(tiny, data, nullptr, run_options(0.1, 5));
  REQUIRE(first->step());
  REQUIRE(first->save(path.c_str()));
  REQUIRE(first->step());
  REQUIRE(first->save(path.c_str()));
  CHECK(folder.files() == 1);
  const auto second = make_run(tiny, data, nullptr, run_options(0.1, 5));
  for (int i = 0; i < 3; ++i) REQUIRE(second->step());
  REQUIRE(second->save(path.c_str()));
  CHECK(steps_in(path) == 3);
  CHECK(steps_in(old) == 2);
  const auto resumed = make_run(tiny, data, nullptr, run_options(0.1, 5));
  REQUIRE(resumed->resume(path.c_str()));
  REQUIRE(resumed->step());
  REQUIRE(resumed->save(path.c_str()));
  CHECK(steps_in(path) == 4);
  CHECK(steps_in(old) == 2);
  CHECK(folder.files() == 2);
  // Elsewhere, too, and there and back again.
  const std::string elsewhere = folder.path("b.atc");
  REQUIRE(first->save(elsewhere.c_str()));
  CHECK(folder.files() == 3);
  REQUIRE(resumed->save(elsewhere.c_str()));
  CHECK(steps_in(elsewhere + ".old") == 2);
  REQUIRE(resumed->save(path.c_str()));
  REQUIRE(resumed->save(elsewhere.c_str()));
  CHECK(steps_in(old) == 2);
  CHECK(steps_in(elsewhere) == 4);
  CHECK(steps_in(elsewhere + ".old") == 2);
  CHECK(folder.files() == 4);
  // Whatever is asked for, a run's own file is not kept in place of another's.
  REQUIRE(resumed->save(elsewhere.c_str(), Replace::any_checkpoint));
  CHECK(steps_in(elsewhere + ".old") == 2);
}

TEST_CASE("a run saved and resumed at every step, over all rollbacks, ends in the same bits") {
  TemporaryFolder folder;
  const std::string path = folder.path("a.atc"), whole_path = folder.path("whole.atc");
  // Rates whose steps overflow, after some that do not.
  for (const auto& [optimizer, rate] : {std::pair<std::string, double>("sgd", 1.7e38),
                                        std::pair<std::string, double>("adam", 5.5e37)})
    for (const bool holds_out : {true, false}) {
      CAPTURE(optimizer);
      CAPTURE(holds_out);
      const TinyOptions tiny_options = with_optimizer(optimizer.c_str());
      Wrong data(Kind::nothing, 0, 22), held_out(Kind::nothing, 22, 10);
      Dataset* const held = holds_out ? &held_out : nullptr;
      RunOptions options = run_options(rate, 20);
      options.train.schedule.kind = ScheduleKind::cosine;
      Tiny tiny(tiny_options);
      const auto whole = make_run(tiny, data, held, options);
      const Status whole_status = go(*whole);
      CHECK(whole->info().rollbacks > 0);
      REQUIRE(whole->save(whole_path.c_str()));

      int64_t rounds = 0, in_epochs = 0;
      for (bool first = true, done = false; !done; first = false, ++rounds) {
        REQUIRE(rounds < 2000);
        Tiny again(tiny_options);
        RunOptions resumed = options;
        CheckpointFacts facts;
        if (!first) {
          REQUIRE(examine_checkpoint(path.c_str(), again.plan(), &facts));
          resumed.train = facts.info.options;
        }
        const auto run = make_run(again, data, held, resumed);
        if (!first) {
          const Status status = run->resume(path.c_str());
          REQUIRE_MESSAGE(status.is_ok(), status.message());
        }
        Status status;
        if (!run->done()) status = run->step();
        done = run->done() || !status;
        if (done) CHECK(error_of(status ? run->finish() : status) == error_of(whole_status));
        if (run->trainer().progress().batch > 0) ++in_epochs;
        REQUIRE(run->save(path.c_str()));
      }
      CHECK(in_epochs > 10);
      CHECK(read_bytes(path) == read_bytes(whole_path));
    }
}

TEST_CASE("a run goes on from another's parameters, which are its baseline") {
  Tiny tiny;
  Wrong good(Kind::nothing, 0, 22), bad(Kind::rotated_labels, 0, 22),
      held_out(Kind::nothing, 22, 10);
  REQUIRE(go(*make_run(tiny, good, &held_out, run_options(0.5, 20))));
  const std::vector<std::byte> learned = state_of(tiny);
  const double before = loss_of(tiny, held_out);
  const auto run = make_run(tiny, bad, &held_out, run_options(0.5, 20));
  REQUIRE(run->continue_from(120));
  REQUIRE(go(*run));
  CHECK(run->baseline()->loss == before);
  CHECK(run->kept_baseline());
  CHECK(state_of(tiny) == learned);
  CHECK(run->info().progress.earlier_steps == 120);
}

TEST_CASE("a run resumes with held-out data that it had not, and with no other examples") {
  TemporaryFolder folder;
  const std::string path = folder.path("a.atc");
  Tiny tiny;
  Wrong data(Kind::nothing, 0, 22), more(Kind::nothing, 0, 23), held_out(Kind::nothing, 22, 10);
  const auto run = make_run(tiny, data, nullptr, run_options(0.1, 2));
  REQUIRE(go(*run));
  REQUIRE(run->save(path.c_str()));
  const double then = loss_of(tiny, held_out);
  const auto resumed = make_run(tiny, data, &held_out, run_options(0.1, 4));
  REQUIRE(resumed->resume(path.c_str()));
  REQUIRE(resumed->start());
  CHECK(resumed->baseline()->loss == then);
  CHECK(resumed->info().best.epoch == 2);
  CHECK_FALSE(resumed->kept_baseline());
  REQUIRE(go(*resumed));
  CHECK(loss_of(tiny, held_out) < then);
  REQUIRE(resumed->save(path.c_str()));
  CHECK(
      contains(error_of(make_run(tiny, more, &held_out, run_options(0.1, 6))->resume(path.c_str())),
               "trains on 22 examples, and these are 23"));
  CHECK(contains(error_of(make_run(tiny, data, nullptr, run_options(0.1, 6))->resume(path.c_str())),
                 "held-out data"));
  RunOptions last = run_options(0.1, 6);
  last.keep_best = false;
  const auto blind = make_run(tiny, data, nullptr, last);
  REQUIRE(blind->resume(path.c_str()));
  REQUIRE(go(*blind));
  CHECK(blind->trainer().progress().epoch == 6);
}

TEST_CASE("parameters that are not finite are nothing to start from") {
  Tiny tiny;
  Wrong data(Kind::nothing, 0, 22);
  const auto run = make_run(tiny, data, nullptr, run_options(0.1, 2));
  std::memcpy(tiny.session().state().data() + 8, &kNaN, sizeof(kNaN));
  CHECK(contains(error_of(run->step()), "'fc.weight' (its value) is not finite"));
}

TEST_CASE("a rate is set for the next step, and the schedule keeps its shape") {
  Tiny tiny;
  Wrong data(Kind::nothing, 0, 22);
  RunOptions options = run_options(0.1, 4);
  options.train.schedule.kind = ScheduleKind::cosine;
  const auto run = make_run(tiny, data, nullptr, options);
  REQUIRE(run->step());
  const double next = run->trainer().rate();
  CHECK(next < 0.1);
  REQUIRE(run->set_rate(2 * next));
  CHECK(run->trainer().rate() == doctest::Approx(2 * next));
  REQUIRE(run->step());
  CHECK(run->trainer().progress().last_rate == doctest::Approx(2 * next));
  CHECK(run->trainer().rate() < 2 * next);
  CHECK(run->info().options.schedule.base == doctest::Approx(0.2));
  CHECK_FALSE(run->set_rate(-1));
  CHECK_FALSE(run->set_rate(std::numeric_limits<double>::infinity()));
  while (!run->done()) REQUIRE(run->step());
  CHECK(contains(error_of(run->set_rate(0.1)), "at zero"));
}

TEST_CASE("a rate that is given anew to a resumed run has not been lowered yet") {
  TemporaryFolder folder;
  const std::string path = folder.path("a.atc");
  Tiny tiny;
  Wrong data(Kind::nothing, 0, 22);
  const auto run = make_run(tiny, data, nullptr, run_options(1e300, 4));
  REQUIRE(run->step());
  REQUIRE(run->step());
  REQUIRE(run->rollback() != nullptr);
  REQUIRE(run->save(path.c_str()));
  const auto same = make_run(tiny, data, nullptr, run_options(1e300 / 2, 4));
  REQUIRE(same->resume(path.c_str()));
  CHECK(same->info().rollbacks == 1);
  const auto other = make_run(tiny, data, nullptr, run_options(0.1, 4));
  REQUIRE(other->resume(path.c_str()));
  CHECK(other->info().rollbacks == 0);
}

}  // namespace attune
