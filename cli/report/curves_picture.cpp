#include "cli/report/curves_picture.h"

#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "cli/report/markup.h"

namespace attune::cli {
namespace {

using Json = nlohmann::json;

constexpr double kPlot = 350, kLeft = 70, kGap = 100, kTop = 70, kBottom = 330;
constexpr const char* kTraining = "#36c";
constexpr const char* kValidation = "#c60";
// How every such picture starts, and no other.
constexpr std::string_view kStart =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"attune-curves\" ";
constexpr std::string_view kNumbers = "<metadata>";

using Value = double Evaluation::*;
using Part = std::optional<Evaluation> CurvePoint::*;

std::string curve(const std::vector<CurvePoint>& points, Part part, const char* colour,
                  const auto& place) {
  std::string path, dots;
  for (const CurvePoint& point : points) {
    if (!(point.*part)) continue;
    const auto [x, y] = place(point.epoch, *(point.*part));
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x, y);
    if (points.size() <= 40)
      dots += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" fill=\"{}\"/>\n", x, y,
                          colour);
  }
  if (path.empty()) return "";
  return fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"/>\n", path,
                     colour) +
         dots;
}

// One plot: a value of training and validation over the epochs.
std::string panel(const std::vector<CurvePoint>& points, double left, const char* name, Value value,
                  double factor, int64_t best) {
  PlotRange xs(static_cast<double>(points.front().epoch));
  std::optional<PlotRange> found;
  for (const CurvePoint& point : points) {
    xs.cover(static_cast<double>(point.epoch));
    for (const auto& part : {point.training, point.validation}) {
      if (!part) continue;
      const double at = factor * ((*part).*value);
      if (!found) found.emplace(at);
      found->cover(at);
    }
  }
  PlotRange ys = found.value_or(PlotRange(0));
  xs.widen(0.03), ys.widen(0.06);
  const auto x = [&](double at) { return left + kPlot * ((at - xs.low) / xs.size()); };
  const auto y = [&](double at) {
    return kBottom - (kBottom - kTop) * ((at - ys.low) / ys.size());
  };
  std::string text = fmt::format(
      "<rect x=\"{:.1f}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#999\"/>\n"
      "<text x=\"{:.1f}\" y=\"{}\">{}</text>\n"
      "<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">epoch</text>\n",
      left, kTop, kPlot, kBottom - kTop, left, kTop - 8, name, left + kPlot / 2, kBottom + 38);
  for (const double t : ticks(xs, 6))
    if (t == std::floor(t))
      text += fmt::format(
          "<path d=\"M{0:.1f} {1}v4\" stroke=\"#999\"/>"
          "<text x=\"{0:.1f}\" y=\"{2}\" text-anchor=\"middle\">{3:.0f}</text>\n",
          x(t), kBottom, kBottom + 18, t);
  for (const double t : ticks(ys, 5))
    text += fmt::format(
        "<path d=\"M{0:.1f} {1:.1f}h{2}\" stroke=\"#e4e4e4\"/>"
        "<text x=\"{3:.1f}\" y=\"{4:.1f}\" text-anchor=\"end\">{5:.4g}</text>\n",
        left, y(t), kPlot, left - 7, y(t) + 4, t);
  if (best > 0)
    text += fmt::format(
        "<path d=\"M{0:.1f} {1}V{2}\" stroke=\"#777\" stroke-dasharray=\"5 4\"/>\n"
        "<text x=\"{3:.1f}\" y=\"{4}\" fill=\"#777\">kept</text>\n",
        x(static_cast<double>(best)), kTop, kBottom, x(static_cast<double>(best)) + 4, kTop + 14);
  const auto place = [&](int64_t epoch, const Evaluation& evaluation) {
    return std::pair(x(static_cast<double>(epoch)), y(factor * (evaluation.*value)));
  };
  return text + curve(points, &CurvePoint::training, kTraining, place) +
         curve(points, &CurvePoint::validation, kValidation, place);
}

Json numbers_of(const std::optional<Evaluation>& evaluation) {
  return evaluation ? Json{evaluation->loss, evaluation->accuracy} : Json();
}

std::optional<Evaluation> evaluation_of(const Json& numbers) {
  if (numbers.is_null()) return std::nullopt;
  return Evaluation{.loss = numbers.at(0), .accuracy = numbers.at(1)};
}

}  // namespace

std::string curves_picture(const std::vector<CurvePoint>& points, bool classifies, int64_t best,
                           const std::string& title) {
  Json numbers = Json::array();
  bool validated = false;
  for (const CurvePoint& point : points) {
    numbers.push_back({point.epoch, numbers_of(point.training), numbers_of(point.validation)});
    validated = validated || point.validation;
  }
  const double width = kLeft + kPlot + (classifies ? kGap + kPlot : 0) + 30, height = kBottom + 60;
  std::string keys =
      fmt::format("<text x=\"{}\" y=\"46\" fill=\"{}\">training</text>\n", kLeft, kTraining);
  if (validated)
    keys += fmt::format("<text x=\"{}\" y=\"46\" fill=\"{}\">validation</text>\n", kLeft + 70,
                        kValidation);
  std::string panels = panel(points, kLeft, "loss", &Evaluation::loss, 1, best);
  if (classifies)
    panels += panel(points, kLeft + kPlot + kGap, "accuracy, %", &Evaluation::accuracy, 100, best);
  return fmt::format(
      "{0}viewBox=\"0 0 {2} {3}\" width=\"{2}\" height=\"{3}\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n{8}{1}</metadata>\n<rect width=\"{2}\" height=\"{3}\" "
      "fill=\"#fff\"/>\n<text x=\"{4}\" y=\"26\" font-size=\"15\">{5}</text>\n{6}{7}</svg>\n",
      kStart, numbers.dump(), width, height, kLeft, escaped(title), keys, panels, kNumbers);
}

std::vector<CurvePoint> read_curves(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::vector<CurvePoint> points;
  const size_t tag = text.find(kNumbers), end = text.find("</metadata>");
  if (!text.starts_with(kStart) || tag == std::string::npos || end == std::string::npos)
    return points;
  const size_t begin = tag + kNumbers.size();
  try {
    for (const Json& point : Json::parse(text.substr(begin, end - begin)))
      points.push_back({point.at(0), evaluation_of(point.at(1)), evaluation_of(point.at(2))});
  } catch (const Json::exception&) {
    points.clear();  // someone has edited it
  }
  return points;
}

bool is_curves_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string start(kStart.size(), '\0');
  file.read(start.data(), static_cast<std::streamsize>(start.size()));
  return file.good() && start == kStart;
}

}  // namespace attune::cli
