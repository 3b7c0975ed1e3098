#include "cli/limit_options.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "sparse_update/pipeline/verify_against_model.h"

namespace attune::cli {
namespace {

constexpr const char* kExamples = R"(Examples:
  attune verify flowers.att --model mobilenet.onnx
  attune verify flowers.att --model mobilenet.onnx --data photos/test --examples 16

Holds the plan against its model: initial parameters bit for bit, then every tensor that both have,
while predicting and while training. The model runs in double, node by node, without the compiler's
passes; the plan is interpreted in double, and run by a session. Status 1 and the first tensor that
differs, where one does.)";

constexpr int kDifference = 1;

struct Options {
  std::string plan, model, data;
  VerifyOptions verify;
  ModelOptions reading_model;
  OutputOptions output;
  SessionChoice session;
  DataOptions reading;
};

std::string difference_text(const TensorDifference& d) {
  return fmt::format("{} of {} ({}): relative error {:.3g}", d.tensor, d.node,
                     d.program + ", " + d.arithmetic, d.relative_error);
}

void print_report(const VerifyReport& report, bool quiet) {
  Table table({"", ""});
  table.row({"result", report.ok() ? "the plan computes what the model does" : "they differ"});
  if (!quiet) {
    table.row({"compared", fmt::format("{} parameters, {} tensors of {} examples",
                                       report.parameters, report.tensors, report.examples)});
    const auto worst = [&](const char* name, const TensorDifference& d, double tolerance) {
      table.row({name, fmt::format("worst {:.3g} of {:.3g} allowed{}", d.relative_error, tolerance,
                                   d.tensor.empty() ? "" : ": " + d.tensor)});
    };
    worst("in double", report.worst_exact, report.exact_tolerance);
    worst("session", report.worst_session, report.session_tolerance);
    table.row({"loss", fmt::format("model {:.9g}, plan {:.9g}, session {:.9g}", report.loss_model,
                                   report.loss_plan, report.loss_session)});
  }
  if (report.first) {
    const TensorDifference& d = *report.first;
    table.row({"first difference", difference_text(d)});
    table.row({"worst element",
               fmt::format("[{}]: {:.9g} instead of {:.9g}", d.index, d.actual, d.expected)});
  }
  print("{}", table.text());
}

int run(const Options& options) {
  const auto loaded =
      load_plan(options.plan, options.session, program_bit(ProgramKind::train_step));
  const ModelPtr model = options.reading_model.load(options.model);
  std::unique_ptr<Dataset> data;
  if (!options.data.empty()) {
    data = open_data(*loaded, ProgramKind::train_step, options.data, options.reading);
    print_notes(*data, options.output.quiet);
  }
  VerifyOptions verify = options.verify;
  verify.backend = options.session.options().backend;
  verify.threads = options.session.threads;
  const VerifyReport report = verify_plan_against_model(loaded->plan, *model, data.get(), verify);
  if (options.output.json)
    put(escaped_json(report.json()) + '\n');
  else
    print_report(report, options.output.quiet);
  if (report.ok()) return 0;
  print_note(fmt::format("{}: differs from {}: {}", options.plan, options.model,
                         shown(difference_text(*report.first))));
  return kDifference;
}

}  // namespace

Verb add_verify(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = add_verb(
      app, "verify", "Hold a plan against its model, tensor by tensor, in double", kExamples);
  verb->add_option("plan", options->plan, "The plan (.att)")->required();
  verb->add_option("--model", options->model,
                   "The model that the plan was compiled from (.onnx or .tflite)")
      ->required();
  verb->add_option("--data", options->data, "Labelled data; without it, random inputs");
  verb->add_option("--examples", options->verify.examples, "Examples to compare")
      ->check(CLI::Range(1, 1000000));
  verb->add_option("--seed", options->verify.seed, "Of random inputs");
  options->reading.add(verb);
  options->session.add(verb);
  options->reading_model.add(verb);
  options->output.add(verb);
  return {verb, [options] { return run(*options); }};
}

}  // namespace attune::cli
