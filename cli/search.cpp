#include <cmath>

#include "cli/model_labels.h"
#include "cli/output_file.h"
#include "cli/report/front_picture.h"
#include "cli/scheme_search.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"

namespace attune::cli {
namespace {

constexpr const char* kExamples = R"(Examples:
  attune search mobilenet.onnx --data photos/train --classes 5 --labels photos/train
      --preprocess imagenet --batch-size 1 --memory 4MiB --backend simd -o found.json
  attune search kws.onnx --data speaker --labels words --preprocess mfcc --memory 256KiB
      --latency 40ms --estimator measured -o found.json --front front.json --picture front.svg
  attune compile kws.onnx -o kws.att --scheme found.json ...     with the same options

Finds the scheme that is expected to learn the most within a budget: biases of the last layers, and
of some of these layers a share of the weight. --memory counts all RAM of a session with the given
--batch-size, --optimizer, --backend and --threads. The same options give the same scheme, as long
as --latency comes with --target.

)";

struct Options {
  CompileCommand compile;
  SchemeSearch search;
  std::string front, picture;
  OutputOptions output;
};

// The scheme as people would write it.
std::string scheme_file_text(const SearchedScheme& searched) {
  const Json scheme = Json::parse(scheme_json(searched.space, searched.result.best.point));
  std::string text =
      fmt::format("{{\n  \"bias_last\": {},\n  \"layers\": [", scheme["bias_last"].get<int>());
  for (size_t i = 0; i < scheme["layers"].size(); ++i)
    text += fmt::format("{}\n    {}", i > 0 ? "," : "", scheme["layers"][i].dump());
  return text + (scheme["layers"].empty() ? "]\n}\n" : "\n  ]\n}\n");
}

// Of the ten best.
std::string finals_text(const SearchedScheme& searched, bool classifies) {
  if (searched.finalists.empty()) return "";
  std::vector<std::string> columns = {"trains", ">memory", ">learning rate",
                                      ">runs",  ">steps",  ">loss"};
  if (classifies) columns.push_back(">accuracy");
  Table table(std::move(columns));
  for (size_t i = 0; i < std::min<size_t>(10, searched.finalists.size()); ++i) {
    const Finalist& finalist = searched.finalists[i];
    const bool finite = std::isfinite(finalist.reached.loss);
    std::vector<std::string> row = {
        scheme_text(searched.space, finalist.scheme.point),
        bytes_text(finalist.scheme.cost.ram_bytes()),
        fmt::format("{:.4g}", finalist.rate),
        std::to_string(finalist.runs),
        std::to_string(finalist.steps),
        finite ? fmt::format("{:.4g}", finalist.reached.loss) : "diverges"};
    if (classifies)
      row.push_back(finite ? fmt::format("{:.1f} %", 100 * finalist.reached.accuracy) : "");
    table.row(std::move(row));
  }
  return "\nFine-tuned, and judged by examples that were not trained on:\n" + table.text();
}

Json fronts_json(const SearchedScheme& searched) {
  Json json = searched_json(searched);
  const auto list = [&](const std::vector<FoundScheme>& schemes) {
    Json entries = Json::array();
    for (const FoundScheme& scheme : schemes) entries.push_back(found_json(searched, scheme));
    return entries;
  };
  json["memory_front"] = list(searched.fronts.memory);
  json["time_front"] = list(searched.fronts.time);
  return json;
}

void report(const Options& options, const SearchedScheme& searched) {
  if (options.output.json) return print_json(searched_json(searched));
  if (options.output.quiet) return;
  const SearchResult& result = searched.result;
  const Cost& cost = result.best.cost;
  const Budget budget = options.search.budget.budget();
  const auto of = [](const std::string& limit) { return limit.empty() ? "" : " of " + limit; };
  Table table({"", ""});
  table.row({"scheme", options.search.output});
  table.row({"trains", scheme_text(searched.space, result.best.point)});
  table.row({"expected", predicted_text(searched.gains, result.best.gain)});
  table.row({"at most", !std::isfinite(result.bound) ? "not known"
                        : result.bound > result.best.gain
                            ? predicted_text(searched.gains, result.bound)
                            : "that: no scheme of the kind fits that gains more"});
  table.row({"memory",
             bytes_text(cost.ram_bytes()) +
                 of(budget.memory_bytes ? bytes_text(*budget.memory_bytes) : "") +
                 fmt::format(": state {}, arena {}, workspace {}, session {}",
                             bytes_text(cost.state_bytes), bytes_text(cost.arena_bytes),
                             bytes_text(cost.workspace_bytes), bytes_text(cost.session_bytes))});
  table.row({"flash", bytes_text(cost.flash_bytes()) +
                          of(budget.flash_bytes ? bytes_text(*budget.flash_bytes) : "")});
  table.row(
      {"step", fmt::format("{} multiply-adds", count_text(cost.train_macs)) +
                   (cost.train_step_ms > 0 ? fmt::format(", {:.3g} ms", cost.train_step_ms) : "") +
                   of(budget.latency_ms ? fmt::format("{:.3g} ms", *budget.latency_ms) : "")});
  table.row({"compiled", fmt::format("{} schemes", result.evaluations)});
  if (!searched.finalists.empty())
    table.row({"rate", fmt::format("train it with --learning-rate {:.4g}",
                                   searched.finalists.front().rate)});
  print("{}{}", table.text(),
        finals_text(searched, searched.plan.compiled.contents.class_count > 0));
}

int run(Options& options) {
  check_files_differ({{"-o", options.search.output},
                      {"--front", options.front},
                      {"--picture", options.picture},
                      {"--cache", options.search.sensitivity.cache}});
  check_replaceable(options.search.output, "a scheme", ".json", is_scheme_file);
  if (!options.front.empty()) check_replaceable(options.front, "a front", ".json", is_front_file);
  if (!options.picture.empty())
    check_replaceable(options.picture, "an SVG picture", ".svg", is_svg_file);
  options.search.quiet = options.output.quiet;
  options.search.may_tile = options.compile.may_tile();
  if (!options.front.empty() || !options.picture.empty()) options.search.front_points = 24;
  CompileOptions compile_with = options.compile.options();
  options.search.budget.budget();  // refused before anything is read
  const ModelPtr model = options.compile.load();
  compile_with.loss = options.compile.loss_for(*model, compile_with, options.output.quiet);
  use_labels_of(*model, &compile_with, options.output.quiet);
  const SearchedScheme searched = search_for_scheme(*model, compile_with, options.search);
  write_text(options.search.output, scheme_file_text(searched));
  if (!options.front.empty())
    write_text(options.front,
               fronts_json(searched).dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  if (!options.picture.empty())
    write_text(options.picture,
               front_picture(searched.fronts, searched.gains, searched.result.best,
                             options.search.budget.budget(), options.compile.model));
  report(options, searched);
  return 0;
}

}  // namespace

Verb add_search(CLI::App& app) {
  auto options = std::make_shared<Options>();
  const std::string help = std::string(kExamples) + losses_help() + kPreprocessHelp;
  CLI::App* verb =
      add_verb(app, "search", "Find the scheme that learns the most within a budget", help.c_str());
  options->compile.add(verb, false);
  verb->add_option("-o,--scheme", options->search.output, "The scheme to write (.json)")
      ->required();
  options->search.budget.add(verb);
  options->search.add(verb, true);
  verb->add_option("--front", options->front,
                   "Write the schemes that are best for their memory and for their time to this "
                   "file (.json)");
  verb->add_option("--picture", options->picture, "Draw them into this file (.svg)");
  options->search.session.add(verb);
  options->output.add(verb);
  return {verb, [options] { return run(*options); }};
}

}  // namespace attune::cli
