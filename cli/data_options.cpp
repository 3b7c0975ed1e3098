#include "cli/data_options.h"

#include <CLI/CLI.hpp>

#include "engine/io/open_dataset.h"

namespace attune::cli {

void DataOptions::add(CLI::App* app) {
  app->add_option(
         "--on-error", on_error,
         "What to do with files that cannot be read or decoded: stop at the first, or skip "
         "them all, each with its reason, before anything else is done")
      ->check(CLI::IsMember({"stop", "skip"}));
  app->add_option("--path-column", path_column, "The column of a .csv with the files");
  app->add_option("--label-column", label_column,
                  "The column of a .csv with the labels; several for several targets: a,b");
  app->add_option("--weight-column", weight_column,
                  "The column of a .csv with what each example weighs (default: sample_weight, or "
                  "weight beside files)")
      ->default_str("");
  app->add_option(
         "--labels-are", labels_are,
         "Read the labels of a .csv as names, or as numbers, of classes (default: whichever "
         "all of them are)")
      ->check(CLI::IsMember({"names", "numbers"}))
      ->default_str("");
}

void DataOptions::apply(DatasetRequest* request) const {
  request->skip_unreadable = skips();
  request->path_column = path_column;
  request->label_column = label_column;
  request->weight_column = weight_column;
  if (labels_are == "names") request->label_texts = LabelTexts::names;
  if (labels_are == "numbers") request->label_texts = LabelTexts::numbers;
}

std::vector<std::string> DataOptions::arguments() const {
  std::vector<std::string> result;
  for (const auto& [option, value] : {std::pair{"--on-error", skips() ? on_error : std::string()},
                                      {"--path-column", path_column},
                                      {"--label-column", label_column},
                                      {"--weight-column", weight_column},
                                      {"--labels-are", labels_are}})
    if (!value.empty()) result.insert(result.end(), {option, value});
  return result;
}

}  // namespace attune::cli
