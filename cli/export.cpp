#include "sparse_update/pipeline/export.h"

#include <filesystem>

#include "cli/limit_options.h"
#include "cli/output_file.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

namespace attune::cli {
namespace {

constexpr const char* kExamples = R"(Example:
  attune export flowers.att --model mobilenet.onnx --checkpoint flowers.atc -o adapted.onnx

The adapted model is the original with what was trained in place; everything else stays as it is, bit
for bit. --model is the file that the plan was compiled from. A TFLite model is written as ONNX, or, where
the output is called .tflite and its weights are floats, as TFLite.)";

struct Options {
  std::string plan, model, checkpoint, out;
  ModelOptions reading_model;
  SignatureOptions signatures;
  OutputOptions output;
};

int run(const Options& options) {
  check_model_replaceable(options.out);
  std::error_code missing;
  if (std::filesystem::equivalent(options.out, options.model, missing))
    throw_error("{}: is the original model; write the adapted one to another file", options.out);
  // One program is enough to hold the parameters.
  SessionChoice session;
  session.signatures = options.signatures;
  const auto loaded = load_plan(options.plan, session, program_bit(ProgramKind::predict));
  load_parameters(*loaded, options.checkpoint);
  const ModelPtr model = options.reading_model.load(options.model);
  export_model(*model, *loaded->session, options.out);

  const auto bytes = std::filesystem::file_size(options.out);
  if (options.output.json) {
    Json json;
    json["model"] = options.out;
    json["file_bytes"] = bytes;
    json["checkpoint"] = options.checkpoint.empty() ? Json() : Json(options.checkpoint);
    print_json(json);
  } else if (!options.output.quiet) {
    Table table({"", ""});
    table.row({"model", fmt::format("{}, {}", options.out, bytes_text(bytes))});
    table.row(
        {"parameters", options.checkpoint.empty() ? "as compiled, untrained" : options.checkpoint});
    print("{}", table.text());
  }
  return 0;
}

}  // namespace

Verb add_export(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* verb = add_verb(app, "export", "Write the adapted model as ONNX or TFLite", kExamples);
  verb->add_option("plan", options->plan, "The plan (.att)")->required();
  verb->add_option("--model", options->model,
                   "The model that the plan was compiled from (.onnx or .tflite)")
      ->required();
  verb->add_option("--checkpoint", options->checkpoint,
                   "Trained parameters (.atc); without it, the model as it was compiled");
  verb->add_option("-o,--output", options->out,
                   "The model to write (.onnx; .tflite of a float one)")
      ->required();
  options->reading_model.add(verb);
  options->signatures.add(verb);
  options->output.add(verb);
  return {verb, [options] { return run(*options); }};
}

}  // namespace attune::cli
