#include <algorithm>
#include <chrono>
#include <cmath>

#include "attune/trainer.h"
#include "cli/evaluation_json.h"
#include "cli/output_file.h"
#include "cli/report/evaluation_page.h"
#include "cli/report/page.h"
#include "cli/scores.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

namespace attune::cli {
namespace {

constexpr const char* kExamples = R"(Examples:
  attune evaluate flowers.att --checkpoint flowers.atc --data photos/test
  attune evaluate flowers.att --checkpoint flowers.atc --data photos/test --html report.html
  attune evaluate flowers.att --data photos/test --json | jq '.confusions'

The data: a folder of class folders with pictures or recordings, an IDX file, an .npz file with an array
for each of the model's inputs (`x`, where there is one) and `y`, or a .csv table of files and labels, or of numbers and labels. A
partial last batch counts exactly.

Recall is the share of a class's examples that were taken for it, precision the share of what was taken for
it that was right; where every position of an example has a class, each counts. MAE is the mean absolute
error, RMSE the root of the mean squared one, R2 the share of the targets' variance that is predicted (the
mean over the outputs).)";

constexpr size_t kMostShown = 5;  // of the worst classes, mistakes and outputs

struct Options {
  std::string plan, checkpoint, data, html;
  OutputOptions output;
  SessionChoice session;
  DataOptions reading;
};

std::string percent(const std::optional<double>& share) {
  return share ? fmt::format("{:.2f} %", 100 * *share) : "-";
}

void print_confusion(const LoadedPlan& loaded, const Confusion& confusion) {
  const auto mistakes = confusion.mistakes();
  if (mistakes.empty()) return;
  Table worst({"worst classes", ">recall", ">precision", ">examples"});
  const std::vector<int32_t> order = confusion.worst_classes();
  for (size_t i = 0; i < std::min(order.size(), kMostShown); ++i) {
    const Confusion::ClassScore& score = confusion.classes()[static_cast<size_t>(order[i])];
    if (score.correct == score.examples && score.correct == score.taken) continue;
    worst.row({loaded.class_name(order[i]), percent(score.recall()), percent(score.precision()),
               count_text(score.examples)});
  }
  Table pairs({"mistaken", "for", ">times"});
  for (size_t i = 0; i < std::min(mistakes.size(), kMostShown); ++i)
    pairs.row({loaded.class_name(mistakes[i].first.first),
               loaded.class_name(mistakes[i].first.second), count_text(mistakes[i].second)});
  print("\n{}\n{}", worst.text(), pairs.text());
}

void print_errors(const std::vector<NumberScore>& numbers) {
  if (numbers.size() < 2 || numbers.size() > kMostShown) return;
  Table table({"output", ">MAE", ">RMSE", ">R2"});
  for (size_t i = 0; i < numbers.size(); ++i)
    table.row({std::to_string(i), fmt::format("{:.6g}", numbers[i].mae()),
               fmt::format("{:.6g}", std::sqrt(numbers[i].mse())),
               numbers[i].r2() ? fmt::format("{:.4f}", *numbers[i].r2()) : "-"});
  print("\n{}", table.text());
}

int run(const Options& options) {
  if (!options.html.empty()) check_replaceable(options.html, "a report", ".html", is_report_file);
  const auto loaded = load_plan(options.plan, options.session, program_bit(ProgramKind::evaluate));
  load_parameters(*loaded, options.checkpoint);
  const auto data = open_data(*loaded, ProgramKind::evaluate, options.data, options.reading);
  const size_t notes = print_notes(*data, options.output.quiet);
  const auto start = std::chrono::steady_clock::now();
  Evaluation evaluation;
  const Scores scores(*loaded);
  throw_if_error(evaluate(*loaded->session, *data, &evaluation));
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  print_notes(*data, options.output.quiet, notes);
  const bool classifies = loaded->classes() > 0;
  const std::string parameters =
      options.checkpoint.empty() ? "as compiled, untrained" : options.checkpoint;
  if (!options.html.empty())
    write_text(options.html,
               evaluation_page({*loaded, scores, evaluation, options.data, parameters}));

  if (options.output.json) {
    Json json;
    json["plan"] = options.plan;
    json["checkpoint"] = options.checkpoint.empty() ? Json() : Json(options.checkpoint);
    json["data"] = options.data;
    json.update(evaluation_json(*loaded, evaluation, scores));
    json["seconds"] = seconds;
    print_json(json);
    return 0;
  }
  Table table({"", ""});
  if (!options.output.quiet) {
    table.row({"parameters", parameters});
    table.row({"examples", count_text(static_cast<uint64_t>(evaluation.examples))});
  }
  table.row({"loss", fmt::format("{:.6f}", evaluation.loss)});
  if (classifies) table.row({"accuracy", fmt::format("{:.2f} %", 100 * evaluation.accuracy)});
  if (!scores.numbers().empty()) {
    const Errors errors = errors_of(scores.numbers());
    table.row({"MAE", fmt::format("{:.6g}", errors.mae)});
    table.row({"RMSE", fmt::format("{:.6g}", errors.rmse)});
    if (errors.r2) table.row({"R2", fmt::format("{:.4f}", *errors.r2)});
  }
  if (!options.output.quiet && !loaded->backend.empty()) table.row({"backend", loaded->backend});
  if (!options.output.quiet) table.row({"time", fmt::format("{:.2f} s", seconds)});
  if (!options.output.quiet && !options.html.empty()) table.row({"report", options.html});
  print("{}", table.text());
  if (options.output.quiet) return 0;
  if (scores.confusion()) print_confusion(*loaded, *scores.confusion());
  print_errors(scores.numbers());
  return 0;
}

}  // namespace

Verb add_evaluate(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      add_verb(app, "evaluate", "Measure loss, accuracy and mistakes on labelled data", kExamples);
  verb->add_option("plan", options->plan, "The plan (.att)")->required();
  verb->add_option("--checkpoint", options->checkpoint,
                   "Trained parameters (.atc); without it, the model as it was compiled");
  verb->add_option("--data", options->data, "Labelled data")->required();
  verb->add_option("--html", options->html,
                   "Write a page with the confusion matrix as a picture to this file (.html)");
  options->reading.add(verb);
  options->session.add(verb);
  options->output.add(verb);
  return {verb, [options] { return run(*options); }};
}

}  // namespace attune::cli
