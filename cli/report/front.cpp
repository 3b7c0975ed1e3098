#include "cli/report/front.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cli/common.h"
#include "cli/report/markup.h"
#include "sparse_update/json_file.h"

namespace attune::cli {
namespace {

using nlohmann::json;

class FrontReader {
 public:
  explicit FrontReader(const std::string& path) : path_(path) {}

  SchemeFront read() {
    const json file = read_json_file(path_, path_);
    SchemeFront front;
    front.unit = member(file, "unit").is_string() ? file["unit"].get<std::string>() : "";
    front.chosen = point(member(file, "found"), front.unit);
    front.by_memory = points(member(file, "memory_front"), front.unit);
    front.by_time = points(member(file, "time_front"), front.unit);
    return front;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw_error("{}: {}; give a file that `attune search --front` wrote", path_, what);
  }

  const json& member(const json& object, const char* key) const {
    if (!object.is_object() || !object.contains(key)) fail(fmt::format("has no \"{}\"", key));
    return object[key];
  }

  double number(const json& object, const char* key) const {
    const json& value = member(object, key);
    const double number = value.is_number() ? value.get<double>() : NAN;
    if (!std::isfinite(number) || std::fabs(number) > 1e18)
      fail(fmt::format("\"{}\" is {}, no number that a search finds", key, shown_json(value)));
    return number;
  }

  SchemeFront::Point point(const json& object, const std::string& unit) const {
    SchemeFront::Point point;
    point.gain = number(object, "gain");
    const std::string predicted = "predicted_" + unit;
    if (object.contains(predicted)) point.predicted = number(object, predicted.c_str());
    const json& cost = member(object, "cost");
    point.memory = number(cost, "memory");
    point.ms = number(cost, "ms");
    point.macs = number(cost, "macs");
    point.scheme = member(object, "scheme").dump(-1, ' ', true, json::error_handler_t::replace);
    return point;
  }

  std::vector<SchemeFront::Point> points(const json& list, const std::string& unit) const {
    if (!list.is_array()) fail("a front is no list");
    std::vector<SchemeFront::Point> result;
    for (const json& object : list) result.push_back(point(object, unit));
    return result;
  }

  const std::string& path_;
};

// What a plot has along an axis, and how it says it.
struct Axis {
  double (*value)(const SchemeFront::Point&);
  std::string (*text)(double);
};

std::string percent_text(double value) { return fmt::format("{:.4g} %", value); }
std::string plain_text(double value) { return fmt::format("{:.3g}", value); }
std::string memory_text(double bytes) {
  return bytes_text(static_cast<size_t>(std::max(bytes, 0.0)));
}
std::string ms_text(double ms) { return fmt::format("{:.3g} ms", ms); }
std::string macs_text(double macs) { return fmt::format("{:.4g} M", macs / 1e6); }

Axis height_axis(const SchemeFront& front) {
  if (front.unit == "accuracy" && front.chosen.predicted)
    return {[](const SchemeFront::Point& p) { return 100 * p.predicted.value_or(0); },
            percent_text};
  return {[](const SchemeFront::Point& p) { return p.gain; }, plain_text};
}

std::string height_name(const SchemeFront& front) {
  if (front.unit == "accuracy" && front.chosen.predicted) return "predicted accuracy";
  if (front.unit == "fisher") return "loss that a step takes away, by Fisher information";
  return "predicted gain, " + front.unit;
}

// "predicted accuracy over memory": a line of dots, the chosen one marked.
std::string picture(const std::vector<SchemeFront::Point>& points, const SchemeFront::Point& chosen,
                    const Axis& across, const Axis& up, std::optional<double> plan_at,
                    const std::string& caption) {
  PlotRange x(across.value(chosen)), y(up.value(chosen));
  for (const SchemeFront::Point& p : points) x.cover(across.value(p)), y.cover(up.value(p));
  x.widen(0.07), y.widen(0.07);
  Plot plot(x.size(), y.size(), 260);
  for (const double t : ticks(x, 4)) {
    plot.down(t - x.low, "grid");
    plot.x_label(t - x.low, across.text(t));
  }
  for (const double t : ticks(y, 5)) {
    plot.across(t - y.low, "grid");
    plot.y_label(t - y.low, up.text(t));
  }
  if (plan_at && *plan_at > x.low && *plan_at < x.high) plot.down(*plan_at - x.low, "bound");
  const auto at = [&](const SchemeFront::Point& p) {
    return fmt::format("{:.8g} {:.8g}", across.value(p) - x.low, y.high - up.value(p));
  };
  std::string line;
  for (const SchemeFront::Point& p : points) line += (line.empty() ? "M" : "L") + at(p);
  plot.draw(fmt::format("<path class=\"front\" d=\"{}\"/>", line));
  const auto dot = [&](const char* kind, const SchemeFront::Point& p) {
    plot.draw(fmt::format("<path class=\"{}\" d=\"M{}h0\"><title>{}, {}\n{}</title></path>\n", kind,
                          at(p), across.text(across.value(p)), up.text(up.value(p)),
                          escaped(p.scheme)));
  };
  for (const SchemeFront::Point& p : points) dot("dot", p);
  dot("chosen", chosen);
  return fmt::format("<figure><figcaption>{}</figcaption>{}</figure>\n", escaped(caption),
                     plot.html(caption));
}

}  // namespace

SchemeFront read_front(const std::string& path) { return FrontReader(path).read(); }

std::string front_section(const SchemeFront& front, uint64_t plan_memory) {
  const Axis memory{[](const SchemeFront::Point& p) { return p.memory; }, memory_text};
  const Axis time = front.chosen.ms > 0
                        ? Axis{[](const SchemeFront::Point& p) { return p.ms; }, ms_text}
                        : Axis{[](const SchemeFront::Point& p) { return p.macs; }, macs_text};
  const Axis up = height_axis(front);
  const std::string name = height_name(front);
  const std::string keys =
      key("dot", "no scheme found is better and smaller") +
      key("chosen",
          fmt::format("chosen: {}, {}, {}", up.text(up.value(front.chosen)),
                      memory.text(front.chosen.memory), time.text(time.value(front.chosen)))) +
      key("bound line", "memory of this plan, " + bytes_text(plan_memory));
  return fmt::format(
      "<section id=\"front\"><h2>Schemes to choose from</h2>\n<p class=\"keys\">{}</p>\n<div "
      "class=\"fronts\">{}{}</div><p class=\"note\">The chosen scheme: <code>{}</code></p>"
      "</section>\n",
      keys,
      picture(front.by_memory, front.chosen, memory, up, static_cast<double>(plan_memory),
              name + " over memory"),
      picture(front.by_time, front.chosen, time, up, std::nullopt,
              name + (front.chosen.ms > 0 ? " over the time of a step"
                                          : " over multiply-adds of a step")),
      escaped(front.chosen.scheme, 2000));
}

}  // namespace attune::cli
