#include "cli/report/evaluation_page.h"

#include <algorithm>
#include <cmath>

#include "cli/report/markup.h"
#include "cli/report/page.h"
#include "engine/format/plan_tensor.h"

namespace attune::cli {
namespace {

constexpr size_t kMostNamed = 60;    // classes with names beside the matrix
constexpr size_t kMostDrawn = 1000;  // classes with a matrix
constexpr size_t kNameBytes = 20, kMostMistakes = 50, kMostNumbers = 200;

std::string percent(const std::optional<double>& share) {
  return share ? fmt::format("{:.2f} %", 100 * *share) : "-";
}

// Rows are the true classes, columns what they were taken for; the fuller a cell, the more of its
// row's examples are in it.
std::string matrix(const LoadedPlan& loaded, const Confusion& confusion) {
  const size_t classes = confusion.classes().size();
  const bool named = classes <= kMostNamed;
  const int cell = std::clamp(static_cast<int>(640 / classes), 2, 40);
  size_t longest = 0;
  std::string names;
  for (size_t i = 0; named && i < classes; ++i)
    longest = std::max(longest,
                       std::min(loaded.class_name(static_cast<int32_t>(i)).size(), kNameBytes + 3));
  const int room = named ? 16 + static_cast<int>(8 * longest) : 8;
  const int size = room + cell * static_cast<int>(classes);
  for (size_t i = 0; named && i < classes; ++i) {
    const std::string name = escaped(loaded.class_name(static_cast<int32_t>(i)), kNameBytes);
    const double middle = room + cell * (static_cast<double>(i) + 0.5);
    names += fmt::format(
        "<text x=\"{0}\" y=\"{1:.1f}\" text-anchor=\"end\">{2}</text>"
        "<text transform=\"translate({3:.1f} {0}) rotate(-90)\">{2}</text>\n",
        room - 6, middle + 4, name, middle + 4);
  }
  std::string cells;
  for (const auto& [at, count] : confusion.cells()) {
    const auto [truth, taken] = at;
    const double share =
        static_cast<double>(count) /
        static_cast<double>(confusion.classes()[static_cast<size_t>(truth)].examples);
    const int x = room + cell * taken, y = room + cell * truth;
    cells +=
        fmt::format("<g><path class=\"{}\" fill-opacity=\"{:.3f}\" d=\"M{} {}h{}v{}h-{}z\"/>",
                    truth == taken ? "right" : "wrong", 0.1 + 0.9 * share, x, y, cell, cell, cell);
    if (cell >= 24)
      cells +=
          fmt::format("<text{} x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                      share > 0.5 ? " class=\"full\"" : "", x + cell / 2, y + cell / 2 + 4, count);
    cells +=
        fmt::format("<title>{}: {} taken for {}</title></g>\n", escaped(loaded.class_name(truth)),
                    count, escaped(loaded.class_name(taken)));
  }
  return fmt::format(
      "<div class=\"wide\"><svg class=\"matrix\" xmlns=\"http://www.w3.org/2000/svg\" "
      "viewBox=\"0 0 {0} {0}\" width=\"{0}\" height=\"{0}\" role=\"img\" aria-label=\"confusion "
      "matrix\">\n<path class=\"grid\" d=\"M{1} {1}H{0}V{0}H{1}z\"/>\n{2}{3}</svg></div>\n",
      size, room, names, cells);
}

std::string class_table(const LoadedPlan& loaded, const Confusion& confusion) {
  std::string rows;
  for (const int32_t i : confusion.worst_classes()) {
    const Confusion::ClassScore& score = confusion.classes()[static_cast<size_t>(i)];
    rows += fmt::format(
        "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>"
        "<td class=\"n\">{}</td></tr>\n",
        escaped(loaded.class_name(i)), percent(score.recall()), percent(score.precision()),
        score.examples, score.taken);
  }
  return "<table><tr><th>class</th><th class=\"n\">recall</th><th class=\"n\">precision</th>"
         "<th class=\"n\">examples</th><th class=\"n\">taken for it</th></tr>\n" +
         rows + "</table>\n";
}

std::string mistakes_table(const LoadedPlan& loaded, const Confusion& confusion) {
  const auto mistakes = confusion.mistakes();
  if (mistakes.empty()) return "<p>No example was taken for another class.</p>\n";
  std::string rows;
  for (size_t i = 0; i < std::min(mistakes.size(), kMostMistakes); ++i)
    rows += fmt::format("<tr><td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>\n",
                        escaped(loaded.class_name(mistakes[i].first.first)),
                        escaped(loaded.class_name(mistakes[i].first.second)), mistakes[i].second);
  return "<table><tr><th>true class</th><th>taken for</th><th class=\"n\">examples</th></tr>\n" +
         rows + "</table>\n";
}

std::string confusion_section(const LoadedPlan& loaded, const Confusion& confusion) {
  std::string text = "<section><h2>Confusion matrix</h2>\n";
  if (confusion.classes().size() <= kMostDrawn)
    text +=
        "<p class=\"note\">A row for each true class, a column for each class that its examples "
        "were taken for; the stronger the colour, the larger the share of the row.</p>\n" +
        matrix(loaded, confusion);
  return text + "<h3>Most frequent mistakes</h3>\n" + mistakes_table(loaded, confusion) +
         "</section>\n<section><h2>Classes, the worst first</h2>\n<div class=\"wide\">" +
         class_table(loaded, confusion) + "</div></section>\n";
}

std::string numbers_section(const std::vector<NumberScore>& numbers) {
  std::string rows;
  for (size_t i = 0; i < std::min(numbers.size(), kMostNumbers); ++i)
    rows += fmt::format(
        "<tr><td class=\"n\">{}</td><td class=\"n\">{:.6g}</td><td class=\"n\">{:.6g}</td>"
        "<td class=\"n\">{}</td></tr>\n",
        i, numbers[i].mae(), std::sqrt(numbers[i].mse()),
        numbers[i].r2() ? fmt::format("{:.4f}", *numbers[i].r2()) : "-");
  return "<section><h2>Errors of each output</h2>\n<table><tr><th class=\"n\">output</th>"
         "<th class=\"n\">MAE</th><th class=\"n\">RMSE</th><th class=\"n\">R2</th></tr>\n" +
         rows + "</table></section>\n";
}

}  // namespace

std::string evaluation_page(const EvaluationReport& report) {
  const LoadedPlan& loaded = report.loaded;
  std::string figures = page_figure("examples", std::to_string(report.evaluation.examples), "") +
                        page_figure("loss", fmt::format("{:.6f}", report.evaluation.loss),
                                    escaped(text_of(loaded.table().loss())));
  if (loaded.classes() > 0)
    figures +=
        page_figure("accuracy", fmt::format("{:.2f} %", 100 * report.evaluation.accuracy), "");
  std::string body =
      fmt::format("<header><h1>{}</h1>\n<p>{}, with the parameters {}.</p>\n<dl>{}</dl></header>\n",
                  escaped(text_of(loaded.table().model_name())), escaped(report.data),
                  escaped(report.parameters), figures);
  if (report.scores.confusion()) body += confusion_section(loaded, *report.scores.confusion());
  if (!report.scores.numbers().empty()) body += numbers_section(report.scores.numbers());
  return html_page("evaluate", loaded, body);
}

}  // namespace attune::cli
