#include "cli/class_weights.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/subset.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "engine/format/plan_tensor.h"

namespace attune::cli {
namespace {

void check_one_class_each(const LoadedPlan& loaded) {
  const Tensor labels = loaded.session->port(ProgramKind::train_step, PortRole::label).tensor;
  if (!labels)
    throw_error(
        "--class-weights: {} learns by {}, where an example has no class to weigh; give the "
        "examples weights, in the data",
        loaded.plan.name(), text_of(loaded.table().loss()));
  if (const int64_t each = labels.shape.elements() / labels.shape[0]; each != 1)
    throw_error(
        "--class-weights: {} learns {} labels of each example, and an example has one weight; give "
        "the examples weights, in the data",
        loaded.plan.name(), each);
}

// A class without examples weighs 0.
std::vector<double> balanced(size_t class_count, const std::vector<int32_t>& classes) {
  std::vector<double> weights(class_count);
  for (const int32_t c : classes) ++weights[static_cast<size_t>(c)];
  const auto present = std::ranges::count_if(weights, [](double count) { return count > 0; });
  for (double& weight : weights)
    if (weight > 0)
      weight = static_cast<double>(classes.size()) / (static_cast<double>(present) * weight);
  return weights;
}

// What stands in a file of this name, else the text itself, with spaces for commas.
std::istringstream list_of(std::string text) {
  std::error_code failure;
  if (std::filesystem::is_regular_file(text, failure)) {
    std::ifstream file(text);
    std::ostringstream all;
    if (!file.is_open() || !(all << file.rdbuf()))
      throw_error("--class-weights {}: cannot be read, or is empty", text);
    text = all.str();
  }
  std::ranges::replace(text, ',', ' ');
  return std::istringstream(text);
}

std::vector<double> listed(const std::string& text, const LoadedPlan& loaded) {
  std::istringstream list = list_of(text);
  std::vector<double> weights;
  for (std::string word; list >> word;)
    if (double& weight = weights.emplace_back();
        !parse_number(word, &weight) || !(weight >= 0 && std::isfinite(weight)))
      throw_error(
          "--class-weights {}: '{}' is no number of at least 0; give balanced, a number for each "
          "class as a,b,c, or a file of these",
          text, shown(word));  // an exception's text ends at a NUL
  const auto given = static_cast<int32_t>(weights.size());
  if (given < loaded.classes())
    throw_error(
        "--class-weights {}: {} weights for {} classes, and none for class {}; give each one", text,
        given, loaded.classes(), loaded.class_name(given));
  if (given > loaded.classes())
    throw_error("--class-weights {}: {} weights for {} classes; give each one", text, given,
                loaded.classes());
  return weights;
}

}  // namespace

std::unique_ptr<ClassWeighted> weigh_classes(const std::string& text, const LoadedPlan& loaded,
                                             Dataset& data) {
  check_one_class_each(loaded);
  std::vector<int32_t> classes = classes_of(data, *loaded.session);
  std::vector<double> weights = text == "balanced"
                                    ? balanced(static_cast<size_t>(loaded.classes()), classes)
                                    : listed(text, loaded);
  if (std::ranges::none_of(classes, [&](int32_t c) { return weights[static_cast<size_t>(c)] > 0; }))
    throw_error("--class-weights {}: every example has the weight 0; give a class of the data more",
                text);
  return std::make_unique<ClassWeighted>(data, std::move(classes), std::move(weights));
}

}  // namespace attune::cli
