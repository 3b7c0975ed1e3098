#include "sparse_update/adapt/tune.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <string_view>

#include "attune/run.h"
#include "attune/statistics.h"
#include "attune/trainer.h"
#include "engine/random.h"
#include "graph/ir/error.h"
#include "sparse_update/parallel.h"
#include "sparse_update/pipeline/compile_within.h"
#include "sparse_update/pipeline/plan_in_memory.h"
#include "sparse_update/sensitivity/space.h"

namespace attune {
namespace {

constexpr int64_t kFolds = 4;
constexpr double kJudgedShare = 0.2;
constexpr int64_t kMostJudged = 1000;
constexpr int64_t kMostEpochs = 30;  // what is seen more often is learned by heart
constexpr int kRateSteps = 4;        // of the first round, in either direction
constexpr double kRateFactor = 4;
constexpr size_t kSecondRound = 2;  // schemes
// About what one processor does of small networks; a step takes some time whatever it computes.
constexpr double kMultiplyAddsPerSecond = 2e10;
constexpr double kSecondsOfExample = 3e-5;
constexpr double kErrorsBetweenSchemes = 2, kErrorsBetweenRates = 1;  // standard errors
// Shares of the time. Each scheme of the first round is given that of four runs, and all see as
// many examples.
constexpr double kFirstShare = 0.45, kSecondShare = 0.2, kLastShare = 0.35;
constexpr double kFirstRuns = 4, kSecondRuns = 3;

// So many parts, each with its share of every label; numbers that hardly repeat are no labels.
std::vector<std::vector<int64_t>> stratified(const ExamplesInMemory& examples, int64_t parts,
                                             uint64_t seed) {
  const int64_t count = examples.size();
  std::vector<int64_t> order(static_cast<size_t>(count));
  // A stream of its own: no epoch has this number.
  shuffled_order(Random(seed, std::numeric_limits<uint64_t>::max() - 3), count, order.data());
  std::map<std::string_view, std::vector<int64_t>> by_label;
  for (int64_t index : order) {
    const auto target = examples.target(index);
    by_label[{reinterpret_cast<const char*>(target.data()), target.size()}].push_back(index);
  }
  if (std::ssize(by_label) * 2 <= count) {
    order.clear();
    for (const auto& [label, indices] : by_label)
      order.insert(order.end(), indices.begin(), indices.end());
  }
  std::vector<std::vector<int64_t>> made(static_cast<size_t>(parts));
  for (size_t i = 0; i < order.size(); ++i) made[i % made.size()].push_back(order[i]);
  return made;
}

// Those that are judged by: of few examples all, in parts that take turns; else one part.
std::vector<std::vector<int64_t>> judged_parts(const ExamplesInMemory& examples, uint64_t seed) {
  const int64_t count = examples.size();
  if (count < kFewExamples) return stratified(examples, std::min(kFolds, count), seed);
  const int64_t judged =
      std::min<int64_t>(kMostJudged, std::llround(kJudgedShare * static_cast<double>(count)));
  return {stratified(examples, count / judged, seed).front()};
}

}  // namespace

std::vector<TaskExamples> parts_of(const ExamplesInMemory& examples, uint64_t seed) {
  std::vector<TaskExamples> parts;
  for (const std::vector<int64_t>& judged : judged_parts(examples, seed)) {
    std::vector<char> is_judged(static_cast<size_t>(examples.size()));
    for (int64_t index : judged) is_judged[static_cast<size_t>(index)] = true;
    std::vector<int64_t> others;
    for (int64_t i = 0; i < examples.size(); ++i)
      if (!is_judged[static_cast<size_t>(i)]) others.push_back(i);
    parts.push_back({examples.part(std::move(others)), examples.part(judged)});
  }
  return parts;
}

namespace {

struct Candidate {
  std::string scheme;
  double rate = 0;  // to begin with
  std::vector<std::byte> plan;
  std::unique_ptr<PlanInMemory> loaded;
  double seconds = 0;  // of an example in training
};

// One training, of all parts: what each epoch was judged.
struct Run {
  const Candidate* candidate = nullptr;
  Setting setting;
  int64_t examples = 0;  // of each part that were trained on, at most
  int64_t best_epoch = 0;
  Judged judged;                 // after that epoch; where parts take turns, after the last one
  std::vector<std::byte> state;  // after that epoch; where there is one part
  bool diverged() const { return judged.losses.empty(); }
};

class Tuner {
 public:
  Tuner(const Model& model, const CompileOptions& options, const ExamplesInMemory& examples,
        const TuneOptions& tuning, const Progress& progress)
      : model_(model),
        options_(options),
        examples_(examples),
        tuning_(tuning),
        progress_(progress),
        few_(examples.size() < kFewExamples),
        parts_(parts_of(examples, tuning.seed)) {
    options_.evaluate_batch = 1;
  }

  Tuned run() {
    make_candidates();
    double all_seconds = 0;
    for (const auto& candidate : candidates_) all_seconds += candidate->seconds;
    std::vector<Run> best;
    work_.emplace(progress_, "settings tried", candidates_.size() * 4 + 6);
    for (const auto& candidate : candidates_)
      best.push_back(climb(*candidate, kFirstShare * tuning_.seconds / kFirstRuns *
                                           candidate->seconds / all_seconds));
    sort(best);
    if (best.front().diverged())
      throw_error(
          "{}: training diverges at every learning rate; look at the data's scale and at "
          "--preprocess",
          model_.path());

    best.resize(std::min(best.size(), kSecondRound));
    std::vector<Run> refined;
    const double each =
        kSecondShare * tuning_.seconds / kSecondRuns / static_cast<double>(best.size());
    for (const Run& run : best)
      for (double factor : {1.0, 2.0, 0.5})
        refined.push_back(train(*run.candidate, factor * run.setting.rate, each));
    sort(refined);
    Run last = train(*refined.front().candidate, refined.front().setting.rate,
                     kLastShare * tuning_.seconds);
    if (better(refined.front(), last)) last = std::move(refined.front());
    if (few_) last = least_like(last);
    // A longer run may have learned too much by heart, and a shorter cosine ends earlier.
    if (last.best_epoch < last.setting.epochs) {
      Run shorter =
          train_epochs(*last.candidate, last.setting.rate, last.best_epoch, last.examples);
      if (better(shorter, last)) last = std::move(shorter);
    }
    return result(std::move(last));
  }

 private:
  void add(const std::string& scheme, double rate) {
    CompileOptions options = options_;
    options.scheme = scheme;
    auto made = std::make_unique<Candidate>();
    made->scheme = scheme;
    made->rate = rate;
    CostModel costs(1, tuning_.backend);
    CompiledWithin compiled =
        compile_within(model_, options, true, tuning_.budget, costs,
                       fmt::format("{} with --scheme {}", model_.path(), scheme));
    for (const auto& other : candidates_)
      if (other->plan == compiled.compiled.plan) return;
    made->seconds =
        static_cast<double>(compiled.cost.train_macs) / options.batch / kMultiplyAddsPerSecond +
        kSecondsOfExample;
    made->plan = std::move(compiled.compiled.plan);
    made->loaded = std::make_unique<PlanInMemory>(made->plan, model_.path());
    candidates_.push_back(std::move(made));
  }

  // The first of these that fits; false where none does.
  bool add_first(const std::vector<std::string>& schemes, double rate) {
    for (const std::string& scheme : schemes) {
      try {
        add(scheme, rate);
        return true;
      } catch (const Error& error) {
        // That of the first, the classifier alone, tells of the smallest plan.
        if (refusal_.empty()) refusal_ = error.what();
      }
    }
    return false;
  }

  // Schemes of every kind, of each the largest that fits.
  void make_candidates() {
    const Graph graph = forward_graph(model_, options_, 1);
    const SearchSpace space = search_space(graph);
    const int depth = space.depth();
    const auto last = [&](const char* kind, int layers) {
      std::vector<std::string> schemes;
      for (int k = layers; k > 0; k = k * 2 / 3) schemes.push_back(fmt::format("{}:{}", kind, k));
      return schemes;
    };
    add_first({"head"}, 0.02);
    add_first(last("bias", depth), 0.01);
    add_first(last("last", (depth + 2) / 3), 0.004);
    if (const auto schemes = expanding(space); !schemes.empty()) add_first(schemes, 0.004);
    if (!add_first({"full"}, 0.002)) add_first(last("last", depth), 0.002);
    if (candidates_.empty()) throw Error(refusal_);
  }

  // The biases of the last layers, and the weights of those of them that expand (Lin et al., arXiv
  // 2206.15472, section 3.2, find that these gain the most for their size).
  static std::vector<std::string> expanding(const SearchSpace& space) {
    std::vector<std::string> schemes;
    const int depth = space.depth();
    for (int k = depth * 2 / 3; k > 0; k = k * 2 / 3) {
      SchemePoint point = frozen_point(space);
      point.bias_last = k;
      bool some = false;
      for (int l = depth - k; l < depth; ++l) {
        const SpaceLayer& layer = space.layers[static_cast<size_t>(l)];
        if (!layer.expands || layer.options.empty()) continue;
        point.options[static_cast<size_t>(l)] = static_cast<int>(layer.options.size()) - 1;
        some = true;
      }
      if (some) schemes.push_back(scheme_json(space, point));
    }
    return schemes;
  }

  int64_t training_size() const { return parts_.front().training.size(); }

  // As long as it may take, which is for the training of all parts and their judging.
  Run train(const Candidate& candidate, double rate, double seconds) {
    const auto parts = static_cast<double>(parts_.size());
    const double judging = static_cast<double>(parts_.front().validation.size()) / 3;
    const double size = static_cast<double>(training_size());
    const double epochs = seconds / candidate.seconds / parts / (size + judging);
    if (epochs >= 1)
      return train_epochs(candidate, rate, std::min(kMostEpochs, static_cast<int64_t>(epochs)),
                          training_size());
    const double examples = seconds / candidate.seconds / parts - judging;
    return train_epochs(
        candidate, rate, 1,
        std::max<int64_t>(std::min<int64_t>(training_size(), 256), static_cast<int64_t>(examples)));
  }

  Run train_epochs(const Candidate& candidate, double rate, int64_t epochs, int64_t examples) {
    const std::string key = fmt::format("{} {} {} {}", candidate.scheme, rate, epochs, examples);
    if (const auto known = known_.find(key); known != known_.end()) return known->second;
    Run run;
    run.candidate = &candidate;
    run.examples = examples;
    run.setting = {candidate.scheme, rate, epochs, 0};
    std::vector<std::vector<Judged>> judged(parts_.size());  // by epoch
    std::vector<std::vector<std::byte>> states(parts_.size());
    for_each_in_parallel(parts_.size(), tuning_.threads, [&](size_t i) {
      TaskExamples part = parts_[i];
      if (examples < part.training.size()) {
        std::vector<int64_t> some(static_cast<size_t>(examples));
        for (size_t e = 0; e < some.size(); ++e) some[e] = static_cast<int64_t>(e);
        part.training = part.training.part(std::move(some));
      }
      judged[i] = train_part(candidate, rate, epochs, part, &states[i]);
    });
    run.setting.warmup = warmup_of(epochs, examples);
    Run best;
    for (int64_t epoch = 1; epoch <= epochs; ++epoch) {
      Run at;
      for (const auto& part : judged) {
        if (static_cast<int64_t>(part.size()) < epoch) {  // diverged before
          at.judged = {};
          break;
        }
        const Judged& one = part[static_cast<size_t>(epoch) - 1];
        at.judged.losses.insert(at.judged.losses.end(), one.losses.begin(), one.losses.end());
        at.judged.right.insert(at.judged.right.end(), one.right.begin(), one.right.end());
      }
      if (at.diverged()) break;
      // Where parts take turns nothing is kept of an epoch, so that the last one counts.
      if (run.best_epoch == 0 || better(at, best)) best = at, run.best_epoch = epoch;
      if (parts_.size() > 1 ? epoch == epochs : run.best_epoch == epoch)
        run.judged = std::move(at.judged);
    }
    if (parts_.size() == 1 && !run.diverged()) run.state = std::move(states.front());
    work_->add(1, false);
    return known_.emplace(key, run).first->second;
  }

  int64_t warmup_of(int64_t epochs, int64_t examples) const {
    return (examples + options_.batch - 1) / options_.batch * epochs / 10;
  }

  // Before its first step; statistics that are estimated are those of `training`.
  std::unique_ptr<Session> session_of(const Candidate& candidate, Dataset& training) const {
    SessionOptions options;
    options.backend = tuning_.backend;
    options.programs = 1u << static_cast<unsigned>(ProgramKind::train_step) |
                       1u << static_cast<unsigned>(ProgramKind::evaluate) |
                       1u << static_cast<unsigned>(ProgramKind::estimate);
    std::unique_ptr<Session> session;
    throw_if_error(Session::create(candidate.loaded->plan(), options, &session));
    if (session->has(ProgramKind::estimate))
      throw_if_error(estimate_statistics(*session, training, tuning_.seed));
    return session;
  }

  TrainOptions options_of(double rate, int64_t epochs, int64_t examples) const {
    TrainOptions train;
    train.epochs = epochs;
    train.seed = tuning_.seed;
    train.schedule = {
        .kind = ScheduleKind::cosine, .base = rate, .warmup_steps = warmup_of(epochs, examples)};
    return train;
  }

  // What each epoch is judged; fewer epochs where training diverges. `state`: after the best one.
  std::vector<Judged> train_part(const Candidate& candidate, double rate, int64_t epochs,
                                 TaskExamples& part, std::vector<std::byte>* state) const {
    const auto session = session_of(candidate, part.training);
    std::unique_ptr<Trainer> trainer;
    throw_if_error(Trainer::create(*session, part.training,
                                   options_of(rate, epochs, part.training.size()), &trainer));
    std::vector<Judged> judged;
    size_t best = 0;
    while (!trainer->done()) {
      // From here on only a loss that is not finite can fail.
      check_interrupt();
      if (!trainer->step()) return judged;
      if (!trainer->epoch_ended()) continue;
      Judged epoch;
      if (!judge(*session, part.validation, &epoch)) return judged;
      judged.push_back(std::move(epoch));
      if (judged.size() > 1 && !better(judged.back(), judged[best])) continue;
      best = judged.size() - 1;
      if (parts_.size() == 1) state->assign(session->state().begin(), session->state().end());
    }
    return judged;
  }

  // Of few examples the loss tells more than how many are right.
  bool better(const Judged& a, const Judged& b) const {
    if (!few_ && a.has_classes() && a.accuracy() != b.accuracy())
      return a.accuracy() > b.accuracy();
    return a.loss() < b.loss();
  }
  bool better(const Run& a, const Run& b) const {
    if (a.diverged() != b.diverged()) return b.diverged();
    return better(a.judged, b.judged);
  }
  void sort(std::vector<Run>& runs) const {
    std::stable_sort(runs.begin(), runs.end(),
                     [&](const Run& a, const Run& b) { return better(a, b); });
  }

  // Up from the candidate's rate as long as that helps; if it does not at once, down, and on to
  // where training does not diverge.
  Run climb(const Candidate& candidate, double seconds) {
    Run most = train(candidate, candidate.rate, seconds);
    bool moved = false;
    for (const double factor : {kRateFactor, 1 / kRateFactor}) {
      if (moved || (factor > 1 && most.diverged())) continue;
      for (int step = 0; step < kRateSteps; ++step) {
        Run next = train(candidate, most.setting.rate * factor, seconds);
        if (!better(next, most) && !most.diverged()) break;
        most = std::move(next);
        moved = true;
      }
    }
    return most;
  }

  // Few examples do not tell the best of many settings, and what changes less forgets less: the
  // first scheme, which trains the least, that is good and not clearly worse than `best`, at its
  // smallest rate that is about as good as its best one.
  Run least_like(const Run& best) const {
    for (const auto& candidate : candidates_) {
      std::vector<const Run*> own;
      for (const auto& [key, run] : known_)
        if (run.candidate == candidate.get() && !run.diverged() && tuning_.good(run.judged))
          own.push_back(&run);
      if (own.empty()) continue;
      const Run& top = **std::ranges::min_element(
          own, [&](const Run* a, const Run* b) { return better(*a, *b); });
      if (clearly_worse(top.judged, best.judged, kErrorsBetweenSchemes)) continue;
      const Run* least = &top;
      for (const Run* run : own)
        if (run->setting.rate < least->setting.rate &&
            !clearly_worse(run->judged, top.judged, kErrorsBetweenRates))
          least = run;
      return *least;
    }
    return best;
  }

  Tuned result(Run last) {
    Tuned tuned;
    tuned.setting = last.setting;
    tuned.judged = std::move(last.judged);
    tuned.settings = std::ssize(known_);
    tuned.folds = std::ssize(parts_);
    tuned.plan = last.candidate->plan;
    tuned.state = std::move(last.state);
    if (parts_.size() == 1) return tuned;
    // What took turns to judge is all trained on.
    ExamplesInMemory all = examples_;
    const auto session = session_of(*last.candidate, all);
    std::unique_ptr<TrainingRun> run;
    tuned.setting.warmup = warmup_of(tuned.setting.epochs, all.size());
    // Numbers that are not finite are an error: what a lower rate gives was not judged.
    throw_if_error(TrainingRun::create(
        *session, all, nullptr,
        {.train = options_of(tuned.setting.rate, tuned.setting.epochs, all.size()),
         .estimate_statistics = false,
         .most_rollbacks = 0},
        &run));
    while (!run->done()) {
      check_interrupt();
      throw_if_error(run->step());
    }
    tuned.state.assign(session->state().begin(), session->state().end());
    return tuned;
  }

  const Model& model_;
  CompileOptions options_;
  const ExamplesInMemory& examples_;
  const TuneOptions& tuning_;
  const Progress& progress_;
  const bool few_;
  std::vector<TaskExamples> parts_;
  std::vector<std::unique_ptr<Candidate>> candidates_;
  std::map<std::string, Run> known_;
  std::optional<WorkCount> work_;
  std::string refusal_;
};

}  // namespace

Tuned tune(const Model& model, const CompileOptions& options, const ExamplesInMemory& examples,
           const TuneOptions& tuning, const Progress& progress) {
  return Tuner(model, options, examples, tuning, progress).run();
}

ExamplesInMemory judged_examples(const ExamplesInMemory& examples, uint64_t seed) {
  std::vector<int64_t> all;
  for (const std::vector<int64_t>& part : judged_parts(examples, seed))
    all.insert(all.end(), part.begin(), part.end());
  return examples.part(std::move(all));
}

}  // namespace attune
