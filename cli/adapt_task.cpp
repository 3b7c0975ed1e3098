#include "cli/adapt_task.h"

#include <unistd.h>

#include <cmath>
#include <cstring>
#include <iostream>

#include "cli/adapt_data.h"
#include "cli/model_labels.h"
#include "cli/terminal.h"
#include "engine/io/file.h"
#include "engine/random.h"
#include "sparse_update/adapt/class_match.h"
#include "sparse_update/adapt/judged.h"
#include "sparse_update/pipeline/preprocess_spec.h"

namespace attune::cli {
namespace {

// The presets that make what the model's input takes; empty where it takes no images.
std::vector<std::string> image_presets(const Shape& input) {
  if (input.rank != 4) return {};
  const auto is_channels = [&](int axis) { return input[axis] == 1 || input[axis] == 3; };
  const bool planes = is_channels(1);  // else the channels come last, as Keras has them
  if (!planes && !is_channels(3)) return {};
  const std::string size = fmt::format("{}x{}", input[planes ? 3 : 2], input[planes ? 2 : 1]);
  if (input[planes ? 1 : 3] == 1)
    return {fmt::format("unit:{}x1", size), fmt::format("signed:{}x1", size)};
  return {"imagenet:" + size, "unit:" + size, "signed:" + size};
}

// Asks which of these it is; the first where nothing is typed. Throws Error at the end of input.
std::string ask(const std::string& question, const std::vector<std::string>& answers) {
  std::string text = question + '\n';
  for (size_t i = 0; i < answers.size(); ++i) text += fmt::format("  {}  {}\n", i + 1, answers[i]);
  put_note(harmless(text));
  for (;;) {
    put_note("Number [1]: ");
    std::string line;
    if (!std::getline(std::cin, line)) throw_error("no answer; give --preprocess {}", answers[0]);
    if (line.empty()) return answers.front();
    for (size_t i = 0; i < answers.size(); ++i)
      if (line == std::to_string(i + 1) || line == answers[i]) return answers[i];
  }
}

// What the files are tells whether a front end is needed; how pictures are scaled only the user can
// know.
void choose_preprocess(const AdaptOptions& options, const Model& model, AdaptTask& task) {
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

// What the model predicts for each example: the probability of every output.
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

// A fresh classifier's classes are called as the data call them.
void name_fresh_classes(const AdaptOptions& options, const Model& model, AdaptTask& task) {
  const Original original(model, task.compile, options);
  DataClasses found = classes_of_data(*original.session, options.data, options.reading);
  if (found.names.empty()) return;  // numbers
  if (found.count != task.compile.classes)
    throw_error(
        "--classes {}: {} has {} classes: {}; leave --classes out, or name all with --labels",
        task.compile.classes, options.data, found.count, name_list(found.names));
  task.compile.class_names = std::move(found.names);
}

// Which outputs the data's classes are: by names that were given, by what the model predicts, or
// by their numbers; else the classifier is a fresh one.
void choose_classifier(const AdaptOptions& options, const Model& model, AdaptTask& task) {
  if (!classifies(task.compile.loss)) {
    task.about_classes = "none: it learns numbers";
    return;
  }
  if (task.compile.classes > 0) {
    task.keeps_head = false;
    task.about_classes = fmt::format("{} of a fresh classifier", task.compile.classes);
    if (task.compile.class_names.empty()) name_fresh_classes(options, model, task);
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
  CompileOptions named = task.compile;
  use_labels_of(model, &named, true);
  if (!found.names.empty() && std::ranges::all_of(found.names, [&](const std::string& name) {
        return std::ranges::count(named.class_names, name) > 0;
      })) {
    task.compile.class_names = named.class_names;
    task.about_classes = fmt::format("{}, as the model's file names them", outputs);
    return;
  }
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

}  // namespace

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

ExamplesInMemory read_examples(Dataset& data, const Session& session, const AdaptOptions& options) {
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

AdaptTask choose_task(const AdaptOptions& options, const Model& model) {
  AdaptTask task;
  task.compile = options.compile.options();
  task.labels = options.compile.labels();
  task.compile.loss = options.compile.loss_for(model, task.compile, options.output.quiet);
  // What a guess costs that looks at no input is known of these.
  if (const Loss loss = task.compile.loss; loss != Loss::cross_entropy &&
                                           loss != Loss::binary_cross_entropy &&
                                           loss != Loss::mean_squared_error)
    throw_error("--loss {}: adapt does not judge by it; give it to `attune compile`, and train",
                loss_name(loss));
  choose_preprocess(options, model, task);
  choose_classifier(options, model, task);
  return task;
}

}  // namespace attune::cli
