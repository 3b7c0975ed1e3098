#include "cli/data_options.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "attune/open_dataset.h"
#include "cli/limit_options.h"
#include "graph/ir/error.h"
#include "sparse_update/json_file.h"
#include "sparse_update/number_text.h"
#include "sparse_update/pipeline/budget.h"

namespace attune::cli {

void DataOptions::add(CLI::App* app) {
  verb_ = app;
  app->add_option("--columns", columns,
                  "JSON: what the columns of a .csv are to the model, numbers or categories, and "
                  "which input each fills (default: numbers of the one input, in their order)");
  app->add_option("--window-stride", window_stride,
                  "Take the rows of a .csv or .npz for moments of a series: an example is as many "
                  "as the model's input is long, and the next starts so many later (default: rows "
                  "are examples)")
      ->check(CLI::Range(1, 1 << 30))
      ->default_str("");
  app->add_option("--horizon", horizon,
                  "Of --window-stride: the label is that of so many rows behind the window's last")
      ->check(CLI::Range(0, 1 << 30));
  app->add_option(
         "--on-error", on_error,
         "What to do with files that cannot be read or decoded: stop at the first, or skip "
         "them all, each with its reason, before anything else is done")
      ->check(CLI::IsMember({"stop", "skip"}));
  app->add_option("--max-pixels", max_pixels, "The most pixels that a picture may have")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40));
  add_max_input_bytes(app);
  app->add_option("--cache-bytes", cache_bytes,
                  "Keep examples that were made of pictures and sounds in memory, up to so many "
                  "bytes of them");
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

namespace {

// The category, number or text that a key holds, as the fields of a table spell it.
std::string field_text(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// {"columns": [{"column": "city", "input": "place", "categories": [..]}, ..]}
std::vector<ColumnSpec> read_columns(const std::string& path, const std::string& only_input) {
  const nlohmann::json json = read_json_file(path, "--columns " + path);
  const auto fail = [&](const std::string& why) { throw_error("--columns {}: {}", path, why); };
  if (!json.is_object() || !json.contains("columns") || !json["columns"].is_array() ||
      json["columns"].empty() || json.size() != 1)
    fail("give {\"columns\": [{\"column\": \"age\"}, ..]}");
  std::vector<ColumnSpec> columns;
  for (const auto& one : json["columns"]) {
    ColumnSpec& spec = columns.emplace_back();
    spec.input = only_input;
    if (!one.is_object() || !one.contains("column"))
      fail(fmt::format("{} names no column", shown_json(one)));
    for (const auto& [key, value] : one.items()) {
      const bool text = value.is_string(), number = value.is_number();
      if (key == "column" && (text || value.is_number_integer())) {
        spec.column = field_text(value);
      } else if (key == "input" && text) {
        spec.input = value.get<std::string>();
      } else if ((key == "categories" || key == "one_hot") && value.is_array() && !value.empty() &&
                 spec.categories.empty()) {
        spec.one_hot = key == "one_hot";
        for (const auto& category : value) spec.categories.push_back(field_text(category));
      } else if (key == "mean" && number) {
        spec.mean = value.get<double>();
      } else if (key == "deviation" && number && value.get<double>() > 0) {
        spec.deviation = value.get<double>();
      } else if ((key == "missing" || key == "unknown") && (text || number)) {
        (key == "missing" ? spec.missing : spec.unknown) = field_text(value);
      } else {
        fail(fmt::format(
            "column {}: {} is none of column, input, categories or one_hot (a list), "
            "mean, deviation (above 0), missing, unknown",
            shown_name(spec.column), fmt::format("{}: {}", shown_name(key), shown_json(value))));
      }
    }
    if (spec.input.empty())
      fail(fmt::format("column {}: say which \"input\" of the model it fills",
                       shown_name(spec.column)));
  }
  return columns;
}

}  // namespace

void DataOptions::apply(DatasetRequest* request) const {
  if (!columns.empty())
    request->columns = read_columns(
        columns, request->inputs.size() == 1 ? std::string(request->inputs[0].name) : "");
  if (horizon > 0 && window_stride == 0)
    throw_error("--horizon is for windows of a series: give --window-stride, too");
  request->windows = {window_stride, horizon};
  request->skip_unreadable = skips();
  request->limits = {max_pixels, max_input_bytes(verb_)};
  request->cache_bytes = cache_bytes == "0" ? 0 : parse_bytes("--cache-bytes", cache_bytes);
  request->path_column = path_column;
  request->label_column = label_column;
  request->weight_column = weight_column;
  if (labels_are == "names") request->label_texts = LabelTexts::names;
  if (labels_are == "numbers") request->label_texts = LabelTexts::numbers;
}

std::vector<std::string> DataOptions::arguments() const {
  std::vector<std::string> result;
  const auto number = [](int n) { return n == 0 ? std::string() : std::to_string(n); };
  for (const auto& [option, value] :
       {std::pair{"--on-error", skips() ? on_error : std::string()},
        {"--path-column", path_column},
        {"--label-column", label_column},
        {"--weight-column", weight_column},
        {"--labels-are", labels_are},
        {"--columns", columns},
        {"--max-pixels",
         max_pixels == ReadLimits().pixels ? std::string() : std::to_string(max_pixels)},
        {"--max-input-bytes", given_max_input_bytes(verb_)},
        {"--window-stride", number(window_stride)},
        {"--horizon", number(horizon)}})
    if (!value.empty()) result.insert(result.end(), {option, value});
  return result;
}

}  // namespace attune::cli
