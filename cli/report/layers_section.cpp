#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cli/common.h"
#include "cli/report/markup.h"
#include "cli/report/sections.h"

namespace attune::cli {
namespace {

using Costs = std::array<double, kPhaseCount>;
constexpr const char* kPhaseTexts[] = {"forward", "gradients", "update"};
constexpr double kHeight = 1000, kLeast = 220;  // of a box, in its picture's units

uint64_t elements(const PlanLayer& layer) { return layer.weight_elements + layer.other_elements; }

const char* kind_of(const PlanLayer& layer) {
  if (layer.frozen()) return "frozen";
  if (layer.trained_weight == 0) return "bias";
  return layer.trained_weight == layer.weight_elements ? "whole" : "part";
}

std::string trained_text(const PlanLayer& layer) {
  if (layer.frozen()) return "frozen";
  std::string text;
  if (layer.trained_weight > 0) text = layer.slice.empty() ? "weight" : layer.slice;
  if (layer.trained_other > 0) text += text.empty() ? "bias" : ", bias";
  return layer.fresh ? text + " (fresh)" : text;
}

std::string rectangle(const char* kind, double x, double y, double width, double height) {
  return fmt::format("<path class=\"{}\" d=\"M{:.6g} {:.6g}h{:.6g}v{:.6g}h{:.6g}z\"/>", kind, x, y,
                     width, height, -width);
}

void number(size_t layers, Plot& plot) {
  const auto stride =
      static_cast<size_t>(std::max(1.0, tick_step(static_cast<double>(layers), 12)));
  for (size_t i = 0; i < layers; i += stride)
    plot.x_label(static_cast<double>(i) + 0.5, std::to_string(i));
}

std::string strip(const std::vector<PlanLayer>& layers) {
  uint64_t most = 1;
  for (const PlanLayer& layer : layers) most = std::max(most, elements(layer));
  Plot plot(static_cast<double>(layers.size()), kHeight, 150);
  for (size_t i = 0; i < layers.size(); ++i) {
    const PlanLayer& layer = layers[i];
    const double height = kLeast + (kHeight - kLeast) * static_cast<double>(elements(layer)) /
                                       static_cast<double>(most);
    const double x = static_cast<double>(i) + 0.06, width = 0.88;
    std::string boxes = rectangle(kind_of(layer), x, kHeight - height, width, height);
    if (kind_of(layer) == std::string("part")) {
      const double filled = height * layer.weight_share();
      boxes += rectangle("whole", x, kHeight - filled, width, filled);
    }
    plot.draw(fmt::format("<g><title>{} {}\n{} {}, {} parameters\n{}</title>{}</g>", i,
                          escaped(layer.name), layer.op, layer.weight_shape,
                          count_text(elements(layer)), escaped(trained_text(layer)), boxes));
  }
  number(layers.size(), plot);
  return plot.html("The layers: what is frozen, what is trained and how much");
}

std::string bars(const std::vector<PlanLayer>& layers, const std::vector<Costs>& costs,
                 const StepCosts& unit) {
  double most = 0;
  for (const Costs& cost : costs) most = std::max(most, cost[0] + cost[1] + cost[2]);
  Plot plot(static_cast<double>(layers.size()), most, 130);
  const double step = most > 0 ? tick_step(most, 4) : 1;
  for (double y = step; y <= most; y += step) {
    plot.across(y, "grid");
    plot.y_label(y, unit.text(y));
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    std::string boxes, text;
    double top = 0;
    for (size_t p = 0; p < kPhaseCount; ++p) {
      if (costs[i][p] <= 0) continue;
      top += costs[i][p];
      boxes += rectangle(phase_name(static_cast<Phase>(p)), static_cast<double>(i) + 0.06,
                         most - top, 0.88, costs[i][p]);
      text += fmt::format("\n{} {}", kPhaseTexts[p], unit.text(costs[i][p]));
    }
    plot.draw(
        fmt::format("<g><title>{} {}{}</title>{}</g>", i, escaped(layers[i].name), text, boxes));
  }
  number(layers.size(), plot);
  return plot.html("The cost of every layer: forward, gradients, update");
}

std::string table(const std::vector<PlanLayer>& layers, const std::vector<Costs>& costs,
                  const StepCosts& unit) {
  std::string rows;
  for (size_t i = 0; i < layers.size(); ++i) {
    const PlanLayer& layer = layers[i];
    rows +=
        fmt::format("<tr><td class=\"n\">{}<td>{}<td>{}<td class=\"n\">{}<td class=\"n\">{}<td>{}",
                    i, escaped(layer.name), layer.op, layer.weight_shape,
                    count_text(elements(layer)), key(kind_of(layer), escaped(trained_text(layer))));
    for (size_t p = 0; p < kPhaseCount; ++p)
      rows += fmt::format("<td class=\"n\">{}", costs[i][p] > 0 ? unit.text(costs[i][p]) : "");
    rows += "</tr>\n";
  }
  return fmt::format(
      "<details><summary>Layer by layer</summary><div class=\"wide\"><table><thead><tr>"
      "<th class=\"n\">#<th>layer<th>operator<th class=\"n\">weight<th class=\"n\">parameters"
      "<th>trained<th class=\"n\">forward<th class=\"n\">gradients<th class=\"n\">update</tr>"
      "</thead><tbody>\n{}</tbody></table></div></details>\n",
      rows);
}

}  // namespace

std::string StepCosts::text(double cost) const {
  if (in_ms) return fmt::format("{:.3g} ms", cost);
  if (cost < 1e3) return fmt::format("{:.3g}", cost);
  return cost < 1e6 ? fmt::format("{:.3g} k", cost / 1e3) : fmt::format("{:.4g} M", cost / 1e6);
}

ProgramView::ProgramView(const format::Plan& plan, const format::Program& program_)
    : program(program_),
      trace(trace_arena(program_)),
      phases(step_phases(program_, trace)),
      layers(find_plan_layers(plan, program_, trace, phases)) {}

std::string scheme_text(const PlanLayers& found) {
  uint64_t all = 0, trained = 0;
  int whole = 0, part = 0, biases = 0, frozen = 0;
  for (const PlanLayer& layer : found.layers) {
    all += elements(layer), trained += layer.trained_weight + layer.trained_other;
    frozen += layer.frozen();
    biases += layer.trained_other > 0;
    if (layer.trained_weight > 0) ++(layer.trained_weight == layer.weight_elements ? whole : part);
  }
  std::string text = fmt::format(
      "Trains {} of {} parameters, in {} of {} layers: {} whole weight{}", count_text(trained),
      count_text(all), static_cast<int>(found.layers.size()) - frozen, found.layers.size(), whole,
      whole == 1 ? "" : "s");
  if (part > 0) text += fmt::format(", {} in part", part);
  return text + fmt::format(", {} bias{}", biases, biases == 1 ? "" : "es");
}

std::string layers_section(const ProgramView& view, const StepCosts& costs) {
  const std::vector<PlanLayer>& layers = view.layers.layers;
  if (layers.empty())
    return "<section id=\"layers\"><h2>Layers</h2>\n<p>The plan has no convolution and no matrix "
           "product with a weight.</p></section>\n";
  std::vector<Costs> of_layer(layers.size());
  double input = 0, loss = 0, phases[kPhaseCount] = {};
  for (size_t s = 0; s < costs.of_step.size(); ++s) {
    const auto phase = static_cast<size_t>(view.phases[s]);
    const int layer = view.layers.of_step[s];
    phases[phase] += costs.of_step[s];
    if (layer >= 0)
      of_layer[static_cast<size_t>(layer)][phase] += costs.of_step[s];
    else
      (layer == PlanLayers::kInput ? input : loss) += costs.of_step[s];
  }
  std::string html = "<section id=\"layers\"><h2>Layers</h2>\n<p class=\"keys\">";
  html += key("frozen", "frozen") + key("bias", "bias only") +
          key("part", "part of the channels, filled by how much") + key("whole", "weight trained") +
          "</p>\n" + strip(layers);
  html +=
      "<p class=\"note\">Boxes in the model's order, as schemes number them; the taller, the "
      "more parameters.</p>\n<p class=\"keys\">";
  for (size_t p = 0; p < kPhaseCount; ++p)
    if (phases[p] > 0)
      html += key(phase_name(static_cast<Phase>(p)),
                  fmt::format("{} {}", kPhaseTexts[p], costs.text(phases[p])));
  html += "</p>\n" + bars(layers, of_layer, costs) + "<p class=\"note\">";
  html += costs.in_ms ? "Estimated milliseconds of a step, by layer."
                      : "Multiply-adds of a step, by layer; give --target for times.";
  if (input > 0) html += fmt::format(" Before the first layer: {}.", costs.text(input));
  if (loss > 0) html += fmt::format(" Loss and metrics: {}.", costs.text(loss));
  return html + "</p>\n" + table(layers, of_layer, costs) + "</section>\n";
}

}  // namespace attune::cli
