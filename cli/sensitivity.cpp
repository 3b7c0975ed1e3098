#include <cmath>
#include <optional>

#include "cli/model_labels.h"
#include "cli/progress_line.h"
#include "cli/sensitivity_options.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

namespace attune::cli {
namespace {

constexpr const char* kExamples = R"(Examples:
  attune sensitivity kws.onnx --data speaker --labels words --preprocess mfcc
  attune sensitivity kws.onnx --data speaker --labels words --preprocess mfcc
      --estimator measured --cache kws.gains.jsonl --compare

What every choice of a scheme gains over training the classifier alone: the biases of the last k
layers, and of every layer a share of the weight. --compare estimates in both ways and tells how
well Fisher information orders the choices: Spearman's rank correlation, 1 for the same order.

)";

struct Options {
  CompileCommand compile;
  SensitivityOptions sensitivity;
  bool compare = false;
  SessionChoice session;
  OutputOptions output;
};

Json estimate_json(const Estimate& estimate) {
  Json json;
  json["unit"] = estimate.gains.unit;
  if (estimate.gains.unit != "fisher") json["classifier_alone"] = estimate.gains.reached(0);
  json["bias"] = Json::array();
  for (size_t k = 1; k < estimate.gains.bias.size(); ++k)
    json["bias"].push_back(Json{{"bias_last", k}, {"gain", number_json(estimate.gains.bias[k])}});
  json["weights"] = Json::array();
  for (size_t l = 0; l < estimate.space.layers.size(); ++l) {
    const SpaceLayer& layer = estimate.space.layers[l];
    for (size_t o = 0; o < layer.options.size(); ++o)
      json["weights"].push_back(Json{{"layer", l},
                                     {"name", layer.name},
                                     {"ratio", layer.options[o].ratio},
                                     {"gain", number_json(estimate.gains.weight[l][o])}});
  }
  return json;
}

std::string gain_text(const Gains& gains, double gain) {
  if (!std::isfinite(gain)) return "diverges";
  if (gains.unit == "accuracy") return fmt::format("{:+.2f}", 100 * gain);
  return fmt::format("{:.4g}", gain);
}

void print_tables(const Estimate& estimate) {
  const Gains& gains = estimate.gains;
  const std::string unit = gains.unit == "accuracy" ? "gain, %" : "gain, " + gains.unit;
  if (gains.unit != "fisher")
    print("the classifier alone: {} {:.4f}\n\n", gains.unit, gains.reached(0));
  Table biases({">last biases", "down to", ">" + unit});
  const auto depth = static_cast<size_t>(estimate.space.depth());
  for (size_t k = 1; k <= depth; ++k)
    biases.row({std::to_string(k), estimate.space.layers[depth - k].name,
                gain_text(gains, gains.bias[k])});
  print("{}\n", biases.text());
  Table weights({">layer", "name", ">1/8", ">1/4", ">1/2", ">1"});
  for (size_t l = 0; l < depth; ++l) {
    std::vector<std::string> row = {
        std::to_string(l), estimate.space.layers[l].name, "", "", "", ""};
    const auto& options = estimate.space.layers[l].options;
    for (size_t o = 0; o < options.size(); ++o) {
      const auto column = static_cast<size_t>(5 + std::lround(std::log2(options[o].ratio)));
      row[column] = gain_text(gains, gains.weight[l][o]);
    }
    weights.row(row);
  }
  print("weights: {}, by share of the input channels\n{}", unit, weights.text());
}

int run(Options& options) {
  CompileOptions compile_with = options.compile.options();
  EstimateOptions estimate_with =
      options.sensitivity.options(options.session, compile_with.seed, "");
  if (options.compare && estimate_with.estimator != Estimator::measured)
    throw_error(
        "--compare: compares Fisher information with what is measured; add --estimator "
        "measured");
  const ModelPtr model = options.compile.load();
  compile_with.loss = options.compile.loss_for(*model, compile_with, options.output.quiet);
  use_labels_of(*model, &compile_with, options.output.quiet);
  const ExamplesInMemory examples =
      open_task(*model, compile_with, options.sensitivity, options.output.quiet);
  ProgressLine line(options.output.quiet);
  const Progress progress = work_progress(line);
  const Estimate estimate = estimate_gains(*model, compile_with, examples, estimate_with, progress);
  std::optional<RankAgreement> agreement;
  if (options.compare) {
    EstimateOptions cheap = estimate_with;
    cheap.estimator = Estimator::fisher;
    agreement = rank_agreement(
        estimate_gains(*model, compile_with, examples, cheap, progress).gains, estimate.gains);
  }
  line.finish();
  if (options.output.json) {
    Json json = estimate_json(estimate);
    if (agreement)
      json["rank_correlation"] =
          Json{{"bias", agreement->bias}, {"weights", agreement->weight}, {"all", agreement->all}};
    print_json(json);
    return 0;
  }
  if (!options.output.quiet) print_tables(estimate);
  if (agreement)
    print(
        "\nSpearman's rank correlation of Fisher information with what is measured:\n"
        "biases {:.2f}, weights {:.2f}, all {:.2f}\n",
        agreement->bias, agreement->weight, agreement->all);
  return 0;
}

}  // namespace

Verb add_sensitivity(CLI::App& app) {
  auto options = std::make_shared<Options>();
  const std::string help = std::string(kExamples) + losses_help() + kPreprocessHelp;
  CLI::App* verb =
      add_verb(app, "sensitivity", "Estimate what training each layer gains", help.c_str());
  options->compile.add(verb, false);
  options->sensitivity.add(verb, true, false);
  verb->add_flag("--compare", options->compare,
                 "Also tell how well Fisher information orders the choices");
  options->session.add(verb);
  options->output.add(verb);
  return {verb, [options] { return run(*options); }};
}

}  // namespace attune::cli
