#include "cli/report/front_picture.h"

#include <fmt/format.h>

#include <optional>

#include "cli/report/markup.h"

namespace attune::cli {
namespace {

constexpr double kWidth = 900, kHeight = 380, kPlot = 350, kTop = 60, kBottom = 320;

struct Dot {
  double x, y;
};

// One plot: a front as a line with dots, the chosen scheme, the limit.
std::string panel(double left, const std::string& x_name, const std::string& y_name,
                  const std::vector<Dot>& dots, Dot chosen, std::optional<double> limit) {
  PlotRange xs(chosen.x), ys(chosen.y);
  for (const Dot& dot : dots) xs.cover(dot.x), ys.cover(dot.y);
  // A limit far off would squeeze the rest.
  if (limit && *limit < xs.high + xs.size()) xs.cover(*limit);
  xs.widen(0.06), ys.widen(0.06);
  const auto x = [&](double value) { return left + kPlot * ((value - xs.low) / xs.size()); };
  const auto y = [&](double value) {
    return kBottom - (kBottom - kTop) * ((value - ys.low) / ys.size());
  };

  std::string text = fmt::format(
      "<rect x=\"{:.1f}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\" stroke=\"#999\"/>\n",
      left, kTop, kPlot, kBottom - kTop);
  for (const double t : ticks(xs, 4))
    text += fmt::format(
        "<path d=\"M{0:.1f} {1}v4\" stroke=\"#999\"/>"
        "<text x=\"{0:.1f}\" y=\"{2}\" text-anchor=\"middle\">{3:.4g}</text>\n",
        x(t), kBottom, kBottom + 18, t);
  for (const double t : ticks(ys, 4))
    text += fmt::format(
        "<path d=\"M{0:.1f} {1:.1f}h-4\" stroke=\"#999\"/>"
        "<text x=\"{2:.1f}\" y=\"{3:.1f}\" text-anchor=\"end\">{4:.4g}</text>\n",
        left, y(t), left - 7, y(t) + 4, t);
  text += fmt::format("<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                      left + kPlot / 2, kBottom + 40, escaped(x_name));
  text += fmt::format("<text x=\"{:.1f}\" y=\"{}\">{}</text>\n", left, kTop - 8, escaped(y_name));

  if (limit && *limit >= xs.low && *limit <= xs.high)
    text += fmt::format(
        "<path d=\"M{0:.1f} {1}V{2}\" stroke=\"#c33\" stroke-dasharray=\"5 4\"/>\n"
        "<text x=\"{3:.1f}\" y=\"{4}\" fill=\"#c33\" text-anchor=\"end\">budget</text>\n",
        x(*limit), kTop, kBottom, x(*limit) - 4, kTop + 14);
  std::string path, circles;
  for (const Dot& dot : dots) {
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x(dot.x), y(dot.y));
    circles += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"#36c\"/>\n",
                           x(dot.x), y(dot.y));
  }
  if (!path.empty()) text += fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"#36c\"/>\n", path);
  return text + circles +
         fmt::format(
             "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"6\" fill=\"none\" stroke=\"#c33\" "
             "stroke-width=\"2\"/>\n",
             x(chosen.x), y(chosen.y));
}

}  // namespace

std::string front_picture(const SchemeFronts& fronts, const Gains& gains, const FoundScheme& chosen,
                          const Budget& budget, const std::string& title) {
  const bool accuracy = gains.unit == "accuracy";
  const std::string y_name = accuracy ? "predicted accuracy, %" : "predicted gain, " + gains.unit;
  const auto value = [&](const FoundScheme& s) {
    return accuracy ? 100 * (gains.base + s.gain) : s.gain;
  };
  const bool timed = chosen.cost.train_step_ms > 0;
  const auto kib = [](const FoundScheme& s) {
    return static_cast<double>(s.cost.ram_bytes()) / 1024;
  };
  const auto time = [&](const FoundScheme& s) {
    return timed ? s.cost.train_step_ms : static_cast<double>(s.cost.train_macs) / 1e6;
  };
  std::vector<Dot> by_memory, by_time;
  for (const FoundScheme& s : fronts.memory) by_memory.push_back({kib(s), value(s)});
  for (const FoundScheme& s : fronts.time) by_time.push_back({time(s), value(s)});
  std::optional<double> memory_limit, time_limit;
  if (budget.memory_bytes) memory_limit = static_cast<double>(*budget.memory_bytes) / 1024;
  if (budget.latency_ms && timed) time_limit = budget.latency_ms;
  const std::string memory =
      panel(70, "memory, KiB", y_name, by_memory, {kib(chosen), value(chosen)}, memory_limit);
  const std::string step =
      panel(520, timed ? "a training step, ms" : "a training step, million multiply-adds", y_name,
            by_time, {time(chosen), value(chosen)}, time_limit);
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"#fff\"/>\n"
      "<text x=\"70\" y=\"26\" font-size=\"15\">{2}</text>\n{3}{4}</svg>\n",
      kWidth, kHeight, escaped(title), memory, step);
}

}  // namespace attune::cli
