#include "cli/report/markup.h"

#include <fmt/format.h>

#include <cmath>

namespace attune::cli {
namespace {

// Bytes of the UTF-8 character that starts `text`, 0 where none does.
size_t character_bytes(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const size_t size = byte(0) < 0x80   ? 1
                      : byte(0) < 0xc2 ? 0
                      : byte(0) < 0xe0 ? 2
                      : byte(0) < 0xf0 ? 3
                      : byte(0) < 0xf5 ? 4
                                       : 0;
  if (size > text.size()) return 0;
  for (size_t i = 1; i < size; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  return size;
}

// Marks that turn the text after them around would turn the page's own.
bool turns_text(std::string_view character) {
  for (std::string_view mark : {"\u202a", "\u202b", "\u202c", "\u202d", "\u202e", "\u2066",
                                "\u2067", "\u2068", "\u2069", "\u200e", "\u200f"})
    if (character == mark) return true;
  return false;
}

double percent(double share) { return 100 * share; }

}  // namespace

std::string escaped(std::string_view text, size_t at_most) {
  std::string result;
  const bool cut = text.size() > at_most;
  if (cut) text = text.substr(0, at_most);
  while (!text.empty()) {
    const size_t bytes = character_bytes(text);
    const std::string_view character = text.substr(0, bytes);
    const char c = text[0];
    if (bytes == 0 || static_cast<unsigned char>(c) < ' ' || c == 0x7f || turns_text(character))
      result += '?';
    else if (c == '<')
      result += "&lt;";
    else if (c == '>')
      result += "&gt;";
    else if (c == '&')
      result += "&amp;";
    else if (c == '"')
      result += "&quot;";
    else if (c == '\'')
      result += "&#39;";
    else
      result += character;
    text.remove_prefix(bytes == 0 ? 1 : bytes);
  }
  return cut ? result + "..." : result;
}

std::string key(const std::string& kind, const std::string& text) {
  return fmt::format("<span class=\"key\"><i class=\"{}\"></i>{}</span>", kind, text);
}

double tick_step(double range, int at_most) {
  const double raw = range / at_most, power = std::pow(10, std::floor(std::log10(raw)));
  for (double factor : {1.0, 2.0, 5.0})
    if (factor * power >= raw) return factor * power;
  return 10 * power;
}

void PlotRange::widen(double share) {
  const double room = high > low ? share * (high - low) : std::max(std::fabs(high), 1e-9) / 2;
  low -= room, high += room;
}

std::vector<double> ticks(const PlotRange& range, int at_most) {
  const double step = tick_step(range.size(), at_most);
  std::vector<double> all;
  for (double t = std::ceil(range.low / step) * step; t <= range.high; t += step)
    all.push_back(std::fabs(t) < step / 1e6 ? 0.0 : t);
  return all;
}

Plot::Plot(double width, double height, int pixels)
    : width_(width), height_(height > 0 ? height : 1), pixels_(pixels) {}

void Plot::y_label(double y, const std::string& text) {
  labels_ += fmt::format("<span class=\"y\" style=\"bottom:{:.2f}%\">{}</span>",
                         percent(y / height_), escaped(text));
}

void Plot::x_label(double x, const std::string& text) {
  labels_ += fmt::format("<span class=\"x\" style=\"left:{:.2f}%\">{}</span>", percent(x / width_),
                         escaped(text));
}

void Plot::across(double y, const char* kind) {
  picture_ += fmt::format("<path class=\"{}\" d=\"M0 {:.6g}H{:.6g}\"/>", kind, height_ - y, width_);
}

void Plot::down(double x, const char* kind) {
  picture_ += fmt::format("<path class=\"{}\" d=\"M{:.6g} 0V{:.6g}\"/>", kind, x, height_);
}

std::string Plot::html(const std::string& what) const {
  return fmt::format(
      "<div class=\"plot\"><div class=\"area\" style=\"height:{}px\">"
      "<svg role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {:.10g} {:.10g}\" "
      "preserveAspectRatio=\"none\">{}</svg>{}</div></div>\n",
      pixels_, escaped(what), width_, height_, picture_, labels_);
}

}  // namespace attune::cli
