#include <filesystem>
#include <thread>

#include "cli/adapt_report.h"
#include "cli/adapt_task.h"
#include "cli/output_file.h"
#include "cli/progress_line.h"
#include "cli/verbs.h"
#include "sparse_update/pipeline/compile_within.h"
#include "sparse_update/pipeline/export.h"

namespace attune::cli {
namespace {

constexpr const char* kExamples = R"(Examples:
  attune adapt mobilenet.onnx photos/train -o flowers.onnx --preprocess imagenet
  attune adapt kws.onnx speaker -o mine.onnx --preprocess mfcc --memory 256KiB --backend reference

Looks at the model and the data, chooses the classifier, the scheme and the learning rate, trains, and
writes the adapted model only where it is better on examples that it was not trained on: than the
original model, and than guessing. Of fewer than 1,000 examples each is judged once, by a model that was
trained on the others; of more, a fifth is held out. What it finds it says as commands of the other verbs.
)";

// Whether the smallest scheme does.
bool fits(const Model& model, CompileOptions options, const Budget& budget, BackendChoice backend) {
  options.scheme = "head";
  options.evaluate_batch = 1;
  CostModel costs(1, backend);
  try {
    compile_within(model, options, true, budget, costs, "");
    return true;
  } catch (const Error&) {
    return false;
  }
}

int run(AdaptOptions& options) {
  check_model_replaceable(options.output_path);
  std::error_code missing;
  if (const std::string classes = classes_path(options.output_path);
      std::filesystem::exists(classes, missing) &&
      !std::filesystem::exists(options.output_path, missing))
    throw_error("{}: is there, and would be replaced; remove it or choose another -o", classes);
  if (same_file(options.output_path, options.compile.model))
    throw_error("{}: is the original model; write the adapted one to another file",
                options.output_path);
  if (!(options.minutes > 0)) throw_error("--minutes {}: give more than 0", options.minutes);
  Adapted adapted;
  const Budget budget = options.budget.budget();  // refused before anything is read
  const ModelPtr model = options.compile.load();
  check_format(*model, options.output_path);
  const AdaptTask& task = adapted.task = choose_task(options, *model);

  Original original(*model, task.compile, options);
  const auto data =
      open_data(*original.session, ProgramKind::train_step, options.data, options.reading);
  const size_t noted = print_notes(*data, options.output.quiet);
  const ExamplesInMemory examples = read_examples(*data, *original.session, options);
  print_notes(*data, options.output.quiet, noted);
  adapted.examples = examples.size();
  TuneOptions tuning;
  tuning.budget = budget;
  tuning.backend = options.session.options().backend;
  if (!budget.empty() && !options.session.names_backend() &&
      !fits(*model, task.compile, budget, tuning.backend)) {
    tuning.backend = BackendChoice::reference;
    adapted.falls_back = true;
  }
  tuning.threads = options.jobs > 0
                       ? options.jobs
                       : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  tuning.seconds = 60 * options.minutes;
  tuning.seed = options.compile.compile.seed;

  ExamplesInMemory judged = judged_examples(examples, tuning.seed);
  adapted.guessed = classifies(task.compile.loss) ? guessed_classes(labels_of(judged))
                                                  : guessed_numbers(targets_of(judged));
  if (task.keeps_head && !judge(*original.session, judged, &adapted.before.emplace()))
    throw_error("{}: its loss on {} is not finite; look at --preprocess", options.compile.model,
                options.data);
  const auto good = [&](const Judged& after, std::string* why) {
    return is_better(after, adapted.before ? &*adapted.before : nullptr, &adapted.guessed, why);
  };
  tuning.good = [&](const Judged& after) {
    std::string why;
    return good(after, &why);
  };
  {
    ProgressLine line(options.output.quiet);
    adapted.tuned = tune(*model, task.compile, examples, tuning, work_progress(line));
  }
  adapted.adopted = good(adapted.tuned.judged, &adapted.why);
  if (adapted.adopted) {
    const PlanInMemory plan(adapted.tuned.plan, options.compile.model);
    write_text(options.output_path,
               exported_model(*model, plan.plan(), adapted.tuned.state, options.output_path));
    if (!task.compile.class_names.empty()) {
      std::string names;
      for (const std::string& name : task.compile.class_names) names += name + "\n";
      write_text(classes_path(options.output_path), names);
    }
  }
  report(options, adapted);
  return 0;
}

}  // namespace

Verb add_adapt(CLI::App& app) {
  auto options = std::make_shared<AdaptOptions>();
  const std::string help = std::string(kExamples) +
                           "\nLosses: cross_entropy, binary_cross_entropy (the default where the "
                           "model ends in a sigmoid) "
                           "and\nmean_squared_error. adapt judges by no other.\n\n" +
                           kPreprocessHelp;
  CLI::App* verb = add_verb(app, "adapt", "Model and data in, a better model out", help.c_str());
  options->verb = verb;
  options->compile.add(verb, false);
  // Of losses that it does not judge by.
  for (const char* name : {"--huber-delta", "--entropy-bonus"})
    verb->remove_option(verb->get_option(name));
  verb->add_option("data", options->data, "Labelled data; see `attune train`")->required();
  verb->add_option("-o,--adapted", options->output_path,
                   "The adapted model to write (.onnx; .tflite of a float one)")
      ->required();
  options->budget.add(verb);
  verb->add_option("--minutes", options->minutes,
                   "Of processor time that may be spent, on a machine of today; about");
  verb->add_option(
          "--jobs", options->jobs,
          "Trainings at a time (default: as many as processors); the result does not depend "
          "on it")
      ->check(CLI::Range(1, 1024))
      ->default_str("");
  options->session.add(verb);
  options->reading.add(verb);
  options->output.add(verb);
  return {verb, [options] { return run(*options); }};
}

}  // namespace attune::cli
