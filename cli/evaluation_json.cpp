#include "cli/evaluation_json.h"

#include <cmath>

namespace attune::cli {
namespace {

constexpr size_t kMostOfMatrix = 100;  // classes whose whole matrix is in the JSON

Json share_json(const std::optional<double>& share) { return share ? Json(*share) : Json(); }

void add_confusion(Json& json, const LoadedPlan& loaded, const Confusion& confusion) {
  const size_t classes = confusion.classes().size();
  json["classes"] = Json::array();
  for (size_t i = 0; i < classes; ++i) {
    const Confusion::ClassScore& score = confusion.classes()[i];
    json["classes"].push_back(Json{{"class", loaded.class_name(static_cast<int32_t>(i))},
                                   {"examples", score.examples},
                                   {"predicted", score.taken},
                                   {"correct", score.correct},
                                   {"precision", share_json(score.precision())},
                                   {"recall", share_json(score.recall())}});
  }
  json["confusions"] = Json::array();
  for (const auto& [cell, count] : confusion.mistakes())
    json["confusions"].push_back(Json{{"class", loaded.class_name(cell.first)},
                                      {"predicted", loaded.class_name(cell.second)},
                                      {"examples", count}});
  if (classes > kMostOfMatrix) return;
  std::vector<std::vector<uint64_t>> matrix(classes, std::vector<uint64_t>(classes));
  for (const auto& [cell, count] : confusion.cells())
    matrix[static_cast<size_t>(cell.first)][static_cast<size_t>(cell.second)] = count;
  json["confusion_matrix"] = matrix;  // [true class][predicted class]
}

void add_errors(Json& json, const std::vector<NumberScore>& numbers) {
  const Errors errors = errors_of(numbers);
  json["mae"] = errors.mae;
  json["rmse"] = errors.rmse;
  json["r2"] = share_json(errors.r2);
  json["outputs"] = Json::array();
  for (const NumberScore& number : numbers)
    json["outputs"].push_back(Json{
        {"mae", number.mae()}, {"rmse", std::sqrt(number.mse())}, {"r2", share_json(number.r2())}});
}

}  // namespace

Errors errors_of(const std::vector<NumberScore>& numbers) {
  Errors errors;
  double mse = 0, r2 = 0;
  int varied = 0;
  for (const NumberScore& number : numbers) {
    errors.mae += number.mae() / static_cast<double>(numbers.size());
    mse += number.mse() / static_cast<double>(numbers.size());
    if (const auto share = number.r2()) r2 += *share, ++varied;
  }
  errors.rmse = std::sqrt(mse);
  if (varied > 0) errors.r2 = r2 / varied;
  return errors;
}

Json evaluation_json(const LoadedPlan& loaded, const Evaluation& evaluation, const Scores& scores) {
  Json json;
  json["examples"] = evaluation.examples;
  json["loss"] = evaluation.loss;
  if (loaded.classes() > 0) json["accuracy"] = evaluation.accuracy;
  if (scores.confusion()) add_confusion(json, loaded, *scores.confusion());
  if (!scores.numbers().empty()) add_errors(json, scores.numbers());
  return json;
}

}  // namespace attune::cli
