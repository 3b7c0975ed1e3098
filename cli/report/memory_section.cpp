#include <fmt/format.h>

#include <algorithm>

#include "cli/common.h"
#include "cli/report/markup.h"
#include "cli/report/sections.h"
#include "engine/format/plan_tensor.h"

namespace attune::cli {
namespace {

constexpr size_t kMostAtPeak = 8;
constexpr size_t kMostParts = 400;  // of one content that are drawn apart
constexpr int kThinnest = 150;      // what is a smaller part of the picture has no outline

enum class Kind { input, activation, saved, gradient, parameter_gradient };
constexpr int kKinds = 5;
constexpr const char* kKindTexts[kKinds] = {"input", "activation", "kept for the gradients",
                                            "gradient", "gradient of a parameter"};

Kind kind_of(const ProgramView& view, const ArenaContent& content) {
  if (content.step < 0) return Kind::input;
  const bool backward = view.phases[static_cast<size_t>(content.step)] == Phase::backward;
  bool updates = false, gradients = false;
  for (int reader : content.readers) {
    if (reader >= static_cast<int>(view.phases.size())) continue;
    const Phase phase = view.phases[static_cast<size_t>(reader)];
    updates = updates || phase == Phase::update;
    gradients = gradients || phase == Phase::backward;
  }
  if (backward) return updates ? Kind::parameter_gradient : Kind::gradient;
  return gradients ? Kind::saved : Kind::activation;
}

std::string name_of(const ProgramView& view, const ArenaContent& content) {
  return escaped(
      text_of(view.program.tensors()->Get(static_cast<unsigned>(content.tensor))->name()));
}

std::string step_text(const ProgramView& view, int step) {
  if (step < 0) return "before the first step";
  if (step >= static_cast<int>(view.phases.size())) return "after the last step";
  const format::Step& table = *view.program.steps()->Get(static_cast<unsigned>(step));
  return fmt::format("step {}, {} {}", step, op_name(static_cast<Op>(table.op())),
                     escaped(text_of(table.name())));
}

// Bytes of the content and how long the last of them is held.
std::string hover_text(const ProgramView& view, const ArenaContent& content, Kind kind) {
  uint64_t begin = UINT64_MAX, end = 0;
  int last = content.step;
  for (const HeldBytes& held : content.held) {
    begin = std::min(begin, held.begin), end = std::max(end, held.end);
    last = std::max(last, held.last + held.handed_over);
  }
  const int steps = static_cast<int>(view.phases.size());
  return fmt::format(
      "{}\n{} at {}, {} to {}\n{}{}", name_of(view, content), bytes_text(end - begin),
      count_text(begin),
      content.step < 0 ? "from before the first step" : fmt::format("step {}", content.step),
      last >= steps ? "the end" : std::to_string(std::max(last, 0)),
      kKindTexts[static_cast<int>(kind)], content.held.size() > 1 ? ", released in parts" : "");
}

// The parts of a content as they are drawn: as one where they are too many to be seen.
std::vector<HeldBytes> drawn_parts(const ArenaContent& content) {
  if (content.held.size() <= kMostParts) return content.held;
  HeldBytes whole = content.held.front();
  for (const HeldBytes& held : content.held) {
    whole.end = std::max(whole.end, held.end);
    whole.last = std::max(whole.last, held.last);
  }
  return {whole};
}

double columns(const ProgramView& view) { return static_cast<double>(view.phases.size()) + 2; }

// Where the picture of a step begins: one column for what is there before the first.
double column(int step) { return step + 1; }

std::string lives(const ProgramView& view, uint64_t arena) {
  std::string groups[kKinds];
  for (const ArenaContent& content : view.trace.contents) {
    if (content.held.empty()) continue;
    const Kind kind = kind_of(view, content);
    std::string path;
    bool thin = false;
    for (const HeldBytes& held : drawn_parts(content)) {
      thin = thin || (held.end - held.begin) * kThinnest < arena ||
             (held.last - held.first + 1) * kThinnest < columns(view);
      path += fmt::format("M{} {}h{}v{}h-{}z", column(held.first), arena - held.end,
                          held.last - held.first + 1, held.end - held.begin,
                          held.last - held.first + 1);
    }
    groups[static_cast<int>(kind)] +=
        fmt::format("<path{} d=\"{}\"><title>{}</title></path>\n", thin ? " class=\"thin\"" : "",
                    path, hover_text(view, content, kind));
  }
  std::string svg;
  for (int k = 0; k < kKinds; ++k)
    if (!groups[k].empty()) svg += fmt::format("<g class=\"life k{}\">\n{}</g>", k, groups[k]);
  return svg;
}

void add_bytes_axis(Plot& plot, double most, int at_most) {
  const double step = tick_step(most, at_most);
  for (double y = 0; y <= most; y += step) {
    plot.across(y, "grid");
    plot.y_label(y, bytes_text(static_cast<size_t>(y)));
  }
}

// Where the backward pass begins, which steps see as theirs; 0: nowhere.
int first_gradient(const ProgramView& view) {
  for (size_t s = 0; s < view.phases.size(); ++s)
    if (view.phases[s] != Phase::forward) return static_cast<int>(s);
  return 0;
}

void add_marks(const ProgramView& view, Plot& plot) {
  if (const int gradients = first_gradient(view); gradients > 0)
    plot.down(column(gradients), "phase");
  plot.down(column(view.trace.peak_step()) + 0.5, "peak");
  plot.across(static_cast<double>(view.program.arena_lower_bound()), "bound");
}

void add_steps_axis(const ProgramView& view, Plot& plot) {
  const double steps = static_cast<double>(view.phases.size());
  const double tick = std::max(1.0, tick_step(steps, 8));
  for (double s = 0; s < steps; s += tick) plot.x_label(s + 1.5, fmt::format("{:.0f}", s));
}

std::string offsets_picture(const ProgramView& view) {
  const uint64_t arena = std::max<uint64_t>(view.program.arena_bytes(), 1);
  Plot plot(columns(view), static_cast<double>(arena), 380);
  add_bytes_axis(plot, static_cast<double>(arena), 6);
  plot.draw(lives(view, arena));
  add_marks(view, plot);
  add_steps_axis(view, plot);
  return plot.html("Every tensor's life, by step, and place in the arena, in bytes");
}

std::string live_picture(const ProgramView& view) {
  const double arena = static_cast<double>(std::max<uint64_t>(view.program.arena_bytes(), 1));
  Plot plot(columns(view), arena, 120);
  add_bytes_axis(plot, arena, 3);
  std::string path = fmt::format("M0 {}", arena);
  for (size_t i = 0; i < view.trace.live.size(); ++i)
    path += fmt::format("V{}h1", arena - static_cast<double>(view.trace.live[i]));
  plot.draw(fmt::format("<path class=\"alive\" d=\"{}V{}z\"/>", path, arena));
  add_marks(view, plot);
  add_steps_axis(view, plot);
  return plot.html("Bytes of the arena in use, by step");
}

std::string keys(const ProgramView& view) {
  bool used[kKinds] = {};
  for (const ArenaContent& content : view.trace.contents)
    used[static_cast<int>(kind_of(view, content))] = true;
  std::string html = "<p class=\"keys\">";
  for (int k = 0; k < kKinds; ++k)
    if (used[k]) html += key(fmt::format("k{}", k), kKindTexts[k]);
  html += key("bound line", fmt::format("{}: no packing is smaller",
                                        bytes_text(view.program.arena_lower_bound()))) +
          key("peak line", "the peak, " + step_text(view, view.trace.peak_step()));
  if (const int gradients = first_gradient(view); gradients > 0)
    html += key("phase line", fmt::format("gradients from step {}", gradients));
  return html + "</p>\n";
}

std::string peak_table(const ProgramView& view) {
  const int peak = view.trace.peak_step();
  const std::vector<int> alive = view.trace.alive_at(peak);
  std::string rows;
  uint64_t rest = 0;
  for (size_t i = 0; i < alive.size(); ++i) {
    const uint64_t bytes = view.trace.bytes_at(alive[i], peak);
    if (i >= kMostAtPeak) {
      rest += bytes;
      continue;
    }
    const ArenaContent& content = view.trace.contents[static_cast<size_t>(alive[i])];
    const Kind kind = kind_of(view, content);
    rows += fmt::format(
        "<tr><td class=\"n\">{}<td>{}<td>{}</tr>\n", bytes_text(bytes), name_of(view, content),
        key(fmt::format("k{}", static_cast<int>(kind)), kKindTexts[static_cast<int>(kind)]));
  }
  if (rest > 0)
    rows += fmt::format("<tr><td class=\"n\">{}<td>{} smaller<td></tr>\n", bytes_text(rest),
                        alive.size() - kMostAtPeak);
  return fmt::format(
      "<p>Alive at the peak: {}, {}</p>\n<div "
      "class=\"wide\"><table><tbody>\n{}</tbody></table></div>\n",
      bytes_text(view.trace.live[static_cast<size_t>(peak + 1)]), step_text(view, peak), rows);
}

std::string program_html(const ProgramView& view) {
  return keys(view) + offsets_picture(view) +
         "<p class=\"note\">Across: the program's steps, a column before and one after them. Up: "
         "bytes of the arena. Each shape is what one step writes, for as long as it is read; what "
         "lies inside another tensor, or is overwritten in place, is drawn where it lies.</p>\n" +
         live_picture(view) + "<p class=\"note\">Bytes alive at each step.</p>\n" +
         peak_table(view);
}

std::string summary(const ProgramView& view) {
  return fmt::format("{}, batch {}: {} steps, arena {}", program_name(program_kind(view.program)),
                     view.program.batch(), view.program.steps()->size(),
                     bytes_text(view.program.arena_bytes()));
}

}  // namespace

std::string memory_section(const std::vector<ProgramView>& views) {
  std::string html = "<section id=\"memory\"><h2>Memory</h2>\n";
  for (size_t i = 0; i < views.size(); ++i) {
    if (i == 0)
      html += fmt::format("<h3>{}</h3>\n{}", escaped(summary(views[i])), program_html(views[i]));
    else
      html += fmt::format("<details><summary>{}, the same bytes</summary>\n{}</details>\n",
                          escaped(summary(views[i])), program_html(views[i]));
  }
  return html + "</section>\n";
}

}  // namespace attune::cli
