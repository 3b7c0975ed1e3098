#include "cli/sensitivity_options.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "sparse_update/pipeline/plan_in_memory.h"

namespace attune::cli {

void SensitivityOptions::add(CLI::App* verb, bool required, bool searches) {
  verb->add_option("--data", data, "Labelled data to estimate gains on; see `attune train`")
      ->required(required);
  reading.add(verb);
  verb->add_option("--estimator", estimator,
                   "fisher: Fisher information of a few gradients, which takes seconds; measured: "
                   "a short fine-tuning of every choice, which takes minutes")
      ->check(CLI::IsMember({"fisher", "measured"}));
  verb->add_option("--channels", channels,
                   "Which channels of a layer are trained where not all are: those of the largest "
                   "weights (norm) or of the largest Fisher information (fisher)")
      ->check(CLI::IsMember({"norm", "fisher"}));
  verb->add_option(
          "--examples", examples,
          "Examples to estimate with, at most; half of them to judge by, or each part in turn")
      ->check(CLI::Range(int64_t{2}, int64_t{10'000'000}));
  verb->add_option("--head-epochs", head_epochs,
                   "Passes in which the classifier is trained alone, before anything is estimated")
      ->check(CLI::Range(int64_t{1}, int64_t{100'000}));
  verb->add_option("--head-learning-rate", head_learning_rate, "Of these passes");
  verb->add_option("--steps", steps, "Training steps of a measured choice")
      ->check(CLI::Range(int64_t{1}, int64_t{10'000'000}));
  verb->add_option("--learning-rate", learning_rate, "Of these steps");
  if (searches) {
    verb->add_option(
            "--finalists", finalists,
            "Fine-tune so many of the schemes that are found, and as many mutations of the "
            "best, each at several rates around --learning-rate; the one that learns the "
            "most is chosen (0: the one expected to)")
        ->check(CLI::Range(int64_t{0}, int64_t{10'000}));
    verb->add_option("--finalist-steps", finalist_steps, "Training steps of a finalist")
        ->check(CLI::Range(int64_t{1}, int64_t{10'000'000}));
  }
  verb->add_option("--cache", cache,
                   std::string("Where what was fine-tuned is kept, so that a run that was "
                               "interrupted goes on (default: ") +
                       (searches ? "beside the output, .gains.jsonl)" : "nowhere)"));
  verb->add_option("--jobs", jobs, "Choices to work on at a time (default: as many as processors)")
      ->check(CLI::Range(1, 1024))
      ->default_str("");
}

int SensitivityOptions::threads() const {
  if (jobs > 0) return jobs;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

EstimateOptions SensitivityOptions::options(const SessionChoice& session, uint64_t seed,
                                            const std::string& output) const {
  for (const auto& [name, rate] :
       {std::pair{"--learning-rate", learning_rate}, {"--head-learning-rate", head_learning_rate}})
    if (!(rate > 0 && rate <= 1e3)) throw_error("{} {}: give a number above 0", name, rate);
  EstimateOptions result;
  result.estimator = estimator == "measured" ? Estimator::measured : Estimator::fisher;
  result.head_epochs = head_epochs;
  result.head_rate = head_learning_rate;
  result.fisher_channels = channels == "fisher";
  result.measure.steps = steps;
  result.measure.rate = learning_rate;
  result.measure.seed = seed;
  result.measure.session = session.options();
  result.measure.threads = threads();
  result.measure.cache = cache;
  if (cache.empty() && !output.empty())
    result.measure.cache = std::filesystem::path(output).replace_extension(".gains.jsonl").string();
  // The finals, which open it again, would say the same.
  result.measure.cache_lost = [told =
                                   std::make_shared<std::atomic_flag>()](const std::string& why) {
    if (!told->test_and_set()) print_note(why + "; the run goes on without it");
  };
  return result;
}

ExamplesInMemory open_task(const Model& model, const CompileOptions& options,
                           const SensitivityOptions& sensitivity, bool quiet) {
  CompileOptions head = options;
  head.scheme = "head";
  const Compiled compiled = compile(model, head);
  const PlanInMemory loaded(compiled.plan, model.path());
  SessionOptions session_options;
  session_options.backend = BackendChoice::reference;
  std::unique_ptr<Session> session;
  throw_if_error(Session::create(loaded.plan(), session_options, &session));
  const auto data = sensitivity.open ? sensitivity.open(*session)
                                     : open_data(*session, ProgramKind::train_step,
                                                 sensitivity.data, sensitivity.reading);
  print_notes(*data, quiet);
  return take_examples(*data, *session, sensitivity.examples, options.seed);
}

}  // namespace attune::cli
