#include <filesystem>

#include "attune/checkpoint.h"
#include "attune/statistics.h"
#include "cli/checkpoint_lock.h"
#include "cli/data_options.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

namespace attune::cli {
namespace {

constexpr const char* kExamples = R"(Example:
  attune compile net.onnx -o net.att --batch-norm estimate --preprocess imagenet
  attune estimate net.att --data photos -o net.atc
  attune evaluate net.att --checkpoint net.atc --data photos/test
  attune train net.att --resume net.atc --data photos     or without --resume: it estimates first

Adapts a model to the user's data (other light, another microphone) by forward passes alone: the
statistics of its batch norms become averages over the data. Nothing is trained, no labels are read.
The data: as for `attune predict`.)";

struct Options {
  std::string plan, data, checkpoint;
  uint64_t seed = 0;
  OutputOptions output;
  SessionChoice session;
  DataOptions reading;
};

int run(const Options& options) {
  const auto loaded =
      load_plan(options.plan, options.session,
                program_bit(ProgramKind::estimate) | program_bit(ProgramKind::predict));
  if (!loaded->session->has(ProgramKind::estimate))
    throw_error("{}: was not compiled with --batch-norm estimate; compile it again", options.plan);
  const CheckpointLock lock(options.checkpoint);
  throw_if_error(check_checkpoint_path(options.checkpoint.c_str(), loaded->plan));
  std::error_code missing;
  if (std::filesystem::exists(options.checkpoint, missing))
    throw_error("{}: is a checkpoint already; choose another -o, or remove it", options.checkpoint);
  const auto data = open_data(*loaded, ProgramKind::predict, options.data, options.reading);
  const size_t noted = print_notes(*data, options.output.quiet);
  throw_if_error(estimate_statistics(*loaded->session, *data, options.seed));
  print_notes(*data, options.output.quiet, noted);
  CheckpointInfo info;
  info.options.seed = options.seed;
  info.dataset_size = data->size();
  throw_if_error(save_checkpoint(options.checkpoint.c_str(), *loaded->session, info));
  if (options.output.json) {
    Json json;
    json["plan"] = options.plan;
    json["data"] = options.data;
    json["examples"] = data->size();
    json["checkpoint"] = options.checkpoint;
    print_json(json);
  } else if (!options.output.quiet) {
    Table table({"", ""});
    table.row({"examples", count_text(static_cast<uint64_t>(data->size()))});
    table.row({"checkpoint", options.checkpoint});
    print("{}", table.text());
  }
  return 0;
}

}  // namespace

Verb add_estimate(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      add_verb(app, "estimate", "Average the statistics of batch norms over data", kExamples);
  verb->add_option("plan", options->plan, "The plan (.att)")->required();
  verb->add_option("--data", options->data, "The data")->required();
  verb->add_option("-o,--output", options->checkpoint, "The checkpoint to write (.atc)")
      ->required();
  verb->add_option("--seed", options->seed, "Of the order of the examples")->check(is_seed());
  options->session.add(verb);
  options->reading.add(verb);
  options->output.add(verb);
  return {verb, [options] { return run(*options); }};
}

}  // namespace attune::cli
