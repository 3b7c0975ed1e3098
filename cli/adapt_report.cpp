#include "cli/adapt_report.h"

#include <filesystem>
#include <set>

#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/train_options.h"
#include "sparse_update/pipeline/preprocess_spec.h"

namespace attune::cli {

std::string beside(const std::string& output, const char* extension) {
  return std::filesystem::path(output).replace_extension(extension).string();
}
std::string classes_path(const std::string& output) { return beside(output, ".classes.txt"); }

namespace {

// What the user gave of these options, as it was typed.
std::string given_options(const AdaptOptions& options, const std::set<std::string>& names) {
  std::string text;
  for (const CLI::Option* option : options.verb->get_options()) {
    const std::string& name = option->get_single_name();
    if (option->count() == 0 || !names.contains(name)) continue;
    for (const std::string& value : option->results())
      text += " --" + name + (option->get_type_size() > 0 ? " " + shell_quoted(value) : "");
  }
  return text;
}

std::vector<std::string> by_hand(const AdaptOptions& options, const Adapted& adapted) {
  const AdaptTask& task = adapted.task;
  const Setting& setting = adapted.tuned.setting;
  std::set<std::string> of_compile;
  for (const CLI::Option* option : options.verb->get_options())
    of_compile.insert(option->get_single_name());
  for (const char* name : {"model", "data", "adapted", "minutes", "jobs", "json", "quiet",
                           "preprocess", "labels", "classes", "help", "on-error"})
    of_compile.erase(name);
  const std::string plan = shell_quoted(beside(options.output_path, ".att"));
  std::string compile =
      fmt::format("attune compile {} -o {} --scheme {}", shell_quoted(options.compile.model), plan,
                  shell_quoted(setting.scheme));
  if (!task.keeps_head) compile += fmt::format(" --classes {}", task.compile.classes);
  if (!task.preprocess.empty()) compile += " --preprocess " + shell_quoted(task.preprocess);
  if (!task.compile.class_names.empty())
    compile += " --labels " +
               shell_quoted(task.labels.empty() ? classes_path(options.output_path) : task.labels);
  compile += given_options(options, of_compile);
  if (adapted.falls_back) compile += " --backend reference";
  std::string train =
      fmt::format("attune train {} --data {} --epochs {} --learning-rate {} --schedule cosine",
                  plan, shell_quoted(options.data), setting.epochs, setting.rate);
  if (setting.warmup > 0) train += fmt::format(" --warmup {}", setting.warmup);
  if (adapted.tuned.folds == 1) train += " --validation-split 0.2";
  train += given_options(options, {"seed", "backend", "threads", "on-error"});
  return {compile, train,
          fmt::format("attune export {} --model {} --checkpoint {} -o {}", plan,
                      shell_quoted(options.compile.model),
                      shell_quoted(beside(options.output_path, ".atc")),
                      shell_quoted(options.output_path))};
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

}  // namespace

void report(const AdaptOptions& options, const Adapted& adapted) {
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
  print("{}", table.text());
  if (options.output.quiet) return;
  print("\n{}:\n", adapted.adopted ? "By hand" : "What was tried, by hand");
  for (const std::string& command : by_hand(options, adapted)) print("  {}\n", command);
}

}  // namespace attune::cli
