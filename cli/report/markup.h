#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace attune::cli {

// Text of a plan or file as it may stand in HTML or SVG, between tags or in quotes: cut where it is
// longer than so many bytes, markup escaped, what is no printable UTF-8 replaced.
std::string escaped(std::string_view text, size_t at_most = 120);

// What a colour stands for: `kind` is the class of the shapes that have it, `text` is markup.
std::string key(const std::string& kind, const std::string& text);

// A plot's picture stretches to the page; what is written around it does not. Coordinates are data:
// x from 0 to `width`, y from 0, at the bottom, to `height`.
class Plot {
 public:
  Plot(double width, double height, int pixels);
  // `text` is plain. At the left of the picture, and below it.
  void y_label(double y, const std::string& text);
  void x_label(double x, const std::string& text);
  // Markup of the picture.
  void draw(const std::string& svg) { picture_ += svg; }
  // A line through the picture; `kind` is its class.
  void across(double y, const char* kind);
  void down(double x, const char* kind);
  std::string html(const std::string& what) const;  // `what` it shows, for who cannot see it

 private:
  double width_, height_;
  int pixels_;
  std::string picture_, labels_;
};

// What an axis of a plot covers.
struct PlotRange {
  double low, high;

  explicit PlotRange(double value) : low(value), high(value) {}
  void cover(double value) { low = std::min(low, value), high = std::max(high, value); }
  // Room around what is covered: this share of it.
  void widen(double share);
  double size() const { return high - low; }
};

// The least of 1, 2 and 5 times a power of ten that divides `range` into at most so many parts.
double tick_step(double range, int at_most);

// Its multiples within a range, in order.
std::vector<double> ticks(const PlotRange& range, int at_most);

}  // namespace attune::cli
