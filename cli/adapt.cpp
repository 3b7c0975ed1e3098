#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <numeric>
#include <set>
#include <thread>

#include "cli/adapt_data.h"
#include "cli/budget_options.h"
#include "cli/compile_options.h"
#include "cli/output_file.h"
#include "cli/progress_line.h"
#include "cli/table.h"
#include "cli/train_options.h"
#include "cli/verbs.h"
#include "engine/io/file.h"
#include "engine/random.h"
#include "sparse_update/adapt/class_match.h"
#include "sparse_update/adapt/tune.h"
#include "sparse_update/pipeline/compile_within.h"
#include "sparse_update/pipeline/export.h"
#include "sparse_update/pipeline/plan_in_memory.h"
#include "sparse_update/pipeline/preprocess_spec.h"

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

struct Options {
  CompileCommand compile;
  std::string data, output_path;
  BudgetOptions budget;
  SessionChoice session;
  DataOptions reading;
  double minutes = 5;
  int jobs = 0;
  OutputOptions output;
  CLI::App* verb = nullptr;

  bool given(const char* option) const { return verb->count(option) > 0; }
};

// What is known before anything is trained.
struct Task {
  CompileOptions compile;
  std::string preprocess;     // as --preprocess takes it
  std::string labels;         // what --labels is given by hand; empty: nothing
  std::string about_classes;  // for people
  bool keeps_head = true;
};

std::string classes_path(const std::string& output) {
  return std::filesystem::path(output).replace_extension(".classes.txt").string();
}

// The presets that make what the model's input takes; empty where it takes no images.
std::vector<std::string> image_presets(const Shape& input) {
  if (input.rank != 4 || (input[1] != 1 && input[1] != 3)) return {};
  const std::string size = fmt::format("{}x{}", input[3], input[2]);
  if (input[1] == 1) return {fmt::format("unit:{}x1", size), fmt::format("signed:{}x1", size)};
  return {"imagenet:" + size, "unit:" + size, "signed:" + size};
}

// Asks which of these it is; the first where nothing is typed. Throws Error at the end of input.
std::string ask(const std::string& question, const std::vector<std::string>& answers) {
  fmt::print(stderr, "{}\n", question);
  for (size_t i = 0; i < answers.size(); ++i) fmt::print(stderr, "  {}  {}\n", i + 1, answers[i]);
  for (;;) {
    fmt::print(stderr, "Number [1]: ");
    std::string line;
    if (!std::getline(std::cin, line)) throw_error("no answer; give --preprocess {}", answers[0]);
    if (line.empty()) return answers.front();
    for (size_t i = 0; i < answers.size(); ++i)
      if (line == std::to_string(i + 1) || line == answers[i]) return answers[i];
  }
}

// What the files are tells whether a front end is needed; how pictures are scaled only the user can
// know.
void choose_preprocess(const Options& options, const Model& model, Task& task) {
  if (options.given("--preprocess")) {
    task.preprocess = options.compile.preprocess();
    return;
  }
  const Graph graph = forward_graph(model, task.compile, 1);
  const Shape& input = graph.shape(graph.inputs.front().value);
  const DataKind kind = kind_of_data(options.data);
  if (kind == DataKind::arrays) return;
  if (kind == DataKind::sounds) {
    const MfccPreprocess mfcc;
    const int64_t frames = 1 + (mfcc.samples - mfcc.frame_length) / mfcc.frame_step;
    if (input.product(1, input.rank) != frames * mfcc.coefficients)
      throw_error(
          "{} holds sounds, and the model's input {} is [N,{}], which `--preprocess mfcc` does not "
          "make ({}x{}); give --preprocess FILE with the front end of the model's training",
          options.data, graph.inputs.front().name,
          fmt::join(input.dims + 1, input.dims + input.rank, ","), frames, mfcc.coefficients);
    task.preprocess = "mfcc";
  } else {
    const std::vector<std::string> presets = image_presets(input);
    if (presets.empty())
      throw_error("{} holds pictures, and the model's input {} is [N,{}]; give --preprocess FILE",
                  options.data, graph.inputs.front().name,
                  fmt::join(input.dims + 1, input.dims + input.rank, ","));
    if (options.output.json || options.output.quiet || isatty(STDIN_FILENO) == 0)
      throw_error(
          "{} holds pictures, and nothing tells how the model takes them; give --preprocess {}, as "
          "it was trained",
          options.data, fmt::join(presets, " or "));
    task.preprocess = ask("How were the pictures scaled that the model was trained on?", presets);
  }
  task.compile.preprocess = parse_preprocess(task.preprocess);
}

// A plan of the model as it is, and a session on it.
struct Original {
  explicit Original(const Model& model, CompileOptions options, const Options& given) {
    options.scheme = "head";
    options.evaluate_batch = options.predict_batch = options.batch = 1;
    plan = std::make_unique<PlanInMemory>(compile(model, options).plan, model.path());
    throw_if_error(Session::create(plan->plan(), given.session.options(), &session));
  }
  std::unique_ptr<PlanInMemory> plan;
  std::unique_ptr<Session> session;
};

// The classes of each example, one for each position.
std::vector<std::vector<int32_t>> labels_of(const ExamplesInMemory& examples) {
  std::vector<std::vector<int32_t>> labels;
  for (int64_t i = 0; i < examples.size(); ++i) {
    const auto bytes = examples.target(i);
    std::memcpy(labels.emplace_back(bytes.size() / sizeof(int32_t)).data(), bytes.data(),
                bytes.size());
  }
  return labels;
}

std::vector<std::vector<double>> targets_of(const ExamplesInMemory& examples) {
  std::vector<std::vector<double>> targets;
  for (int64_t i = 0; i < examples.size(); ++i) {
    const auto bytes = examples.target(i);
    std::vector<float> numbers(bytes.size() / sizeof(float));
    std::memcpy(numbers.data(), bytes.data(), bytes.size());
    targets.emplace_back(numbers.begin(), numbers.end());
  }
  return targets;
}

// At most as many examples as memory and time are for, chosen by the seed.
ExamplesInMemory read_examples(Dataset& data, const Session& session, const Options& options) {
  constexpr int64_t kMostBytes = int64_t{1} << 30, kMostExamples = 50'000;
  int64_t bytes = 1;
  for (int i = 0;
       const SessionPort port = session.port(ProgramKind::train_step, PortRole::input, i); ++i)
    bytes += static_cast<int64_t>(port.tensor.bytes()) / port.tensor.shape[0];
  const int64_t most = std::clamp(kMostBytes / bytes, int64_t{2}, kMostExamples);
  if (data.size() > most && !options.output.quiet)
    print_note(fmt::format("{}: {} of {} examples are used, chosen by --seed", options.data,
                           count_text(static_cast<uint64_t>(most)),
                           count_text(static_cast<uint64_t>(data.size()))));
  // In the data's order, as `train` takes them.
  std::vector<int64_t> indices(static_cast<size_t>(data.size()));
  shuffled_order(Random(options.compile.compile.seed, 0), data.size(), indices.data());
  indices.resize(static_cast<size_t>(std::min(most, data.size())));
  std::ranges::sort(indices);
  if (indices.size() < 2)
    throw_error("{}: one example is too few to learn from and to judge by; give more",
                options.data);
  return {data, indices, session};
}

// The output of the most probable class of each example, and all.
std::vector<std::vector<double>> probabilities_of(Session& session, ExamplesInMemory& examples) {
  const Tensor output = session.output(ProgramKind::predict, "probabilities");
  std::vector<std::vector<double>> all;
  for (int64_t i = 0; i < examples.size(); ++i) {
    for (int field = 0;
         const SessionPort port = session.port(ProgramKind::predict, PortRole::input, field);
         ++field)
      throw_if_error(examples.read(i, field, {port.tensor.as<std::byte>(), port.tensor.bytes()}));
    throw_if_error(session.run(ProgramKind::predict));
    const auto* values = output.as<float>();
    all.emplace_back(values, values + output.shape.elements());
  }
  return all;
}

// Whether labels that number the outputs are better than chance.
bool knows(const std::vector<std::vector<int32_t>>& labels,
           const std::vector<std::vector<double>>& probabilities) {
  Judged judged;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto& row = probabilities[i];
    const auto best = std::max_element(row.begin(), row.end()) - row.begin();
    judged.right.push_back(best == labels[i][0]);
    judged.losses.push_back(-std::log(std::max(row[static_cast<size_t>(labels[i][0])], 1e-30)));
  }
  std::string why;
  const Judged guessed = guessed_classes(labels);
  return is_better(judged, nullptr, &guessed, &why);
}

// Which outputs the data's classes are: by names that were given, by what the model predicts, or
// by their numbers; else the classifier is a fresh one.
void choose_classifier(const Options& options, const Model& model, Task& task) {
  if (!classifies(task.compile.loss)) {
    task.about_classes = "none: it learns numbers";
    return;
  }
  if (task.compile.classes > 0) {
    task.keeps_head = false;
    task.about_classes = fmt::format("{} of a fresh classifier", task.compile.classes);
    return;
  }
  if (!task.compile.class_names.empty()) {
    task.about_classes = fmt::format("{}, as --labels names them", task.compile.class_names.size());
    return;
  }
  Original original(model, task.compile, options);
  const int32_t outputs =
      original.session->output(ProgramKind::predict, "probabilities").shape.last();
  DataClasses found = classes_of_data(*original.session, options.data, options.reading);
  const auto classes = found.count;
  const auto fresh = [&](const std::string& why) {
    if (task.compile.loss == Loss::binary_cross_entropy)
      throw_error(
          "{}: cannot tell whether its classes are the two that {} gives; name these with "
          "--labels, "
          "or give --classes and --loss",
          options.data, options.compile.model);
    task.keeps_head = false;
    task.compile.classes = classes;
    task.compile.class_names = found.names;
    task.about_classes = fmt::format("{} of a fresh classifier, as {}", classes, why);
  };
  if (classes > outputs) return fresh(fmt::format("the model has {} outputs", outputs));
  ExamplesInMemory examples = read_examples(*found.data, *original.session, options);
  const auto labels = labels_of(examples);
  if (labels.front().size() > 1) {
    task.about_classes = fmt::format("{}, by number", outputs);
    return;
  }
  const auto probabilities = probabilities_of(*original.session, examples);
  if (found.names.empty()) {
    if (classes < outputs && !knows(labels, probabilities))
      return fresh(fmt::format("the model's {} outputs are others", outputs));
    task.about_classes = fmt::format("{}, by number", outputs);
    return;
  }
  std::vector<int32_t> of_one;
  for (const auto& label : labels) of_one.push_back(label[0]);
  const ClassMatch match = match_classes(of_one, probabilities, classes);
  if (!match.certain)
    return fresh(fmt::format(
        "what the model predicts does not tell which of its {} outputs they are (if they are, give "
        "--labels)",
        outputs));
  for (int32_t i = 0; i < outputs; ++i)
    task.compile.class_names.push_back(fmt::format("output {}", i));
  for (size_t i = 0; i < found.names.size(); ++i)
    task.compile.class_names[static_cast<size_t>(match.output_of[i])] = found.names[i];
  task.about_classes = fmt::format("{} of the model's {} outputs, told by what it predicts: {}",
                                   classes, outputs, name_list(task.compile.class_names));
}

// What was found, with what it takes to do it by hand.
struct Adapted {
  Task task;
  int64_t examples = 0;
  Tuned tuned;
  std::optional<Judged> before;
  Judged guessed;
  bool falls_back = false;  // the budget is for the reference backend alone
  bool adopted = false;
  std::string why;
};

// What the user gave of these options, as it was typed.
std::string given_options(const Options& options, const std::set<std::string>& names) {
  std::string text;
  for (const CLI::Option* option : options.verb->get_options()) {
    const std::string& name = option->get_single_name();
    if (option->count() == 0 || !names.contains(name)) continue;
    for (const std::string& value : option->results())
      text += " --" + name + (option->get_type_size() > 0 ? " " + shell_quoted(value) : "");
  }
  return text;
}

std::vector<std::string> by_hand(const Options& options, const Adapted& adapted) {
  const Task& task = adapted.task;
  const Setting& setting = adapted.tuned.setting;
  std::set<std::string> of_compile;
  for (const CLI::Option* option : options.verb->get_options())
    of_compile.insert(option->get_single_name());
  for (const char* name : {"model", "data", "adapted", "minutes", "jobs", "json", "quiet",
                           "preprocess", "labels", "classes", "help", "on-error"})
    of_compile.erase(name);
  std::string compile =
      fmt::format("attune compile {} -o plan.att --scheme {}", shell_quoted(options.compile.model),
                  shell_quoted(setting.scheme));
  if (!task.keeps_head) compile += fmt::format(" --classes {}", task.compile.classes);
  if (!task.preprocess.empty()) compile += " --preprocess " + shell_quoted(task.preprocess);
  if (!task.compile.class_names.empty())
    compile += " --labels " +
               shell_quoted(task.labels.empty() ? classes_path(options.output_path) : task.labels);
  compile += given_options(options, of_compile);
  if (adapted.falls_back) compile += " --backend reference";
  std::string train = fmt::format(
      "attune train plan.att --data {} --epochs {} --learning-rate {} --schedule cosine",
      shell_quoted(options.data), setting.epochs, setting.rate);
  if (setting.warmup > 0) train += fmt::format(" --warmup {}", setting.warmup);
  if (adapted.tuned.folds == 1) train += " --validation-split 0.2";
  train += given_options(options, {"seed", "backend", "threads", "on-error"});
  return {compile, train,
          fmt::format("attune export plan.att --model {} --checkpoint plan.atc -o {}",
                      shell_quoted(options.compile.model), shell_quoted(options.output_path))};
}

std::string judged_text(const Judged& judged) {
  return judged.has_classes()
             ? fmt::format("accuracy {:.2f} %, loss {:.4g}", 100 * judged.accuracy(), judged.loss())
             : fmt::format("loss {:.4g}", judged.loss());
}

Json judged_json(const Judged& judged) {
  Json json;
  json["loss"] = judged.loss();
  if (judged.has_classes()) json["accuracy"] = judged.accuracy();
  return json;
}

void report(const Options& options, const Adapted& adapted) {
  const Tuned& tuned = adapted.tuned;
  if (options.output.json) {
    Json json;
    json["model"] = options.compile.model;
    json["data"] = options.data;
    json["examples"] = adapted.examples;
    json["preprocess"] = adapted.task.preprocess.empty() ? "none" : adapted.task.preprocess;
    json["fresh_classifier"] = !adapted.task.keeps_head;
    json["classes"] = adapted.task.compile.class_names;
    json["settings_tried"] = tuned.settings;
    json["folds"] = tuned.folds;
    json["judged"] = std::ssize(tuned.judged.losses);
    json["scheme"] = tuned.setting.scheme;
    json["learning_rate"] = tuned.setting.rate;
    json["epochs"] = tuned.setting.epochs;
    json["warmup"] = tuned.setting.warmup;
    if (adapted.before) json["before"] = judged_json(*adapted.before);
    json["guessing"] = judged_json(adapted.guessed);
    json["after"] = judged_json(tuned.judged);
    json["adopted"] = adapted.adopted;
    if (!adapted.adopted) json["why"] = adapted.why;
    if (adapted.adopted) json["output"] = options.output_path;
    json["by_hand"] = by_hand(options, adapted);
    print_json(json);
    return;
  }
  Table table({"", ""});
  if (!options.output.quiet) {
    table.row({"data", fmt::format("{} examples; front end: {}",
                                   count_text(static_cast<uint64_t>(adapted.examples)),
                                   preprocess_text(adapted.task.compile.preprocess))});
    table.row({"classes", adapted.task.about_classes});
    table.row(
        {"judged by", tuned.folds > 1
                          ? fmt::format("all of them, in {} parts that took turns", tuned.folds)
                          : fmt::format("{} of them, held out", std::ssize(tuned.judged.losses))});
    table.row({"tried", fmt::format("{} schemes and learning rates", tuned.settings)});
    table.row(
        {"chosen", fmt::format("--scheme {}, learning rate {:.4g}, {} epochs", tuned.setting.scheme,
                               tuned.setting.rate, tuned.setting.epochs)});
  }
  if (adapted.before)
    table.row({"before", judged_text(*adapted.before)});
  else
    table.row({"guessing", judged_text(adapted.guessed)});
  table.row({"after", judged_text(tuned.judged)});
  table.row({"model",
             adapted.adopted ? options.output_path : fmt::format("not written: {}", adapted.why)});
  fmt::print("{}", table.text());
  if (options.output.quiet) return;
  fmt::print("\nBy hand:\n");
  for (const std::string& command : by_hand(options, adapted)) fmt::print("  {}\n", command);
}

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

int run(Options& options) {
  check_replaceable(options.output_path, "an ONNX model", is_model_file);
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
  Task& task = adapted.task;
  task.compile = options.compile.options();
  task.labels = options.compile.labels();
  const Budget budget = options.budget.budget();
  const ModelPtr model = load_model(options.compile.model);
  task.compile.loss = options.compile.loss_for(*model, task.compile, options.output.quiet);
  // What a guess costs that looks at no input is known of these.
  if (const Loss loss = task.compile.loss; loss != Loss::cross_entropy &&
                                           loss != Loss::binary_cross_entropy &&
                                           loss != Loss::mean_squared_error)
    throw_error("--loss {}: adapt does not judge by it; give it to `attune compile`, and train",
                loss_name(loss));
  choose_preprocess(options, *model, task);
  choose_classifier(options, *model, task);

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
    write_text(options.output_path, exported_model(*model, plan.plan(), adapted.tuned.state));
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
  auto options = std::make_shared<Options>();
  const std::string help = std::string(kExamples) + "\n" + kPreprocessHelp;
  CLI::App* verb = add_verb(app, "adapt", "Model and data in, a better model out", help.c_str());
  options->verb = verb;
  options->compile.add(verb, false);
  verb->add_option("data", options->data, "Labelled data; see `attune train`")->required();
  verb->add_option("-o,--adapted", options->output_path, "The adapted model to write (.onnx)")
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
