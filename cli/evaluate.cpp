#include <chrono>

#include "attune/trainer.h"
#include "cli/table.h"
#include "cli/verbs.h"

namespace attune::cli {
namespace {

constexpr const char* kExamples = R"(Example:
  attune evaluate flowers.att --checkpoint flowers.atc --data photos/test

The data: a folder of class folders with images or WAV files, an IDX file, an .npz file with an array
for each of the model's inputs (`x`, where there is one) and `y`, or a .csv table of files and labels. A
partial last batch counts exactly.)";

struct Options {
  std::string plan, checkpoint, data;
  OutputOptions output;
  SessionChoice session;
  DataOptions reading;
};

int run(const Options& options) {
  const auto loaded = load_plan(options.plan, options.session, program_bit(ProgramKind::evaluate));
  load_parameters(*loaded, options.checkpoint);
  const auto data = open_data(*loaded, ProgramKind::evaluate, options.data, options.reading);
  const size_t notes = print_notes(*data, options.output.quiet);
  const auto start = std::chrono::steady_clock::now();
  Evaluation evaluation;
  throw_if_error(evaluate(*loaded->session, *data, &evaluation));
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  print_notes(*data, options.output.quiet, notes);
  const bool classifies = loaded->classes() > 0;

  if (options.output.json) {
    Json json;
    json["plan"] = options.plan;
    json["checkpoint"] = options.checkpoint.empty() ? Json() : Json(options.checkpoint);
    json["data"] = options.data;
    json["examples"] = evaluation.examples;
    json["loss"] = evaluation.loss;
    if (classifies) json["accuracy"] = evaluation.accuracy;
    json["seconds"] = seconds;
    print_json(json);
    return 0;
  }
  Table table({"", ""});
  if (!options.output.quiet) {
    table.row(
        {"parameters", options.checkpoint.empty() ? "as compiled, untrained" : options.checkpoint});
    table.row({"examples", count_text(static_cast<uint64_t>(evaluation.examples))});
  }
  table.row({"loss", fmt::format("{:.6f}", evaluation.loss)});
  if (classifies) table.row({"accuracy", fmt::format("{:.2f} %", 100 * evaluation.accuracy)});
  if (!options.output.quiet) table.row({"time", fmt::format("{:.2f} s", seconds)});
  fmt::print("{}", table.text());
  return 0;
}

}  // namespace

Verb add_evaluate(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      add_verb(app, "evaluate", "Measure loss and accuracy on labelled data", kExamples);
  verb->add_option("plan", options->plan, "The plan (.att)")->required();
  verb->add_option("--checkpoint", options->checkpoint,
                   "Trained parameters (.atc); without it, the model as it was compiled");
  verb->add_option("--data", options->data, "Labelled data")->required();
  options->reading.add(verb);
  options->session.add(verb);
  options->output.add(verb);
  return {verb, [options] { return run(*options); }};
}

}  // namespace attune::cli
