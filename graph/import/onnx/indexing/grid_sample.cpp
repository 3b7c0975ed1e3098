#include <functional>

#include "graph/import/onnx/indexing/places.h"

namespace attune {
namespace {

// An element of the image along one axis, for each point of the grid: a place inside of the axis,
// as a real, and what it counts (kNone: all of it).
struct Tap {
  ValueId place, weight = kNone;
};

// Along one axis, what points at coordinates -1 .. 1 see. Values are [N,K].
class AxisSampler {
 public:
  AxisSampler(const OnnxNode& n, int64_t size)
      : n_(n),
        size_(static_cast<double>(size)),
        aligned_(n.integer("align_corners", 0) != 0),
        padding_(n.text("padding_mode", "zeros")) {
    if (padding_ != "zeros" && padding_ != "border" && padding_ != "reflection")
      n.fail("padding_mode {}", padding_);
  }

  std::vector<Tap> taps(ValueId grid, const std::string& mode) const {
    const double span = aligned_ ? size_ - 1 : size_;
    const ValueId x = scale(grid, span / 2, (size_ - 1) / 2, "pixels");
    if (mode == "nearest") return {tap(emit(Op::round, {inside(x)}, "nearest"), kNone)};
    if (mode == "linear" || mode == "bilinear") {
      const ValueId at = inside(x), floor = emit(Op::floor, {at}, "floor");
      const ValueId part = emit(Op::sub, {at, floor}, "fraction");
      return {tap(floor, scale(part, -1, 1, "rest")), tap(scale(floor, 1, 1, "next"), part)};
    }
    if (mode != "cubic" && mode != "bicubic") n_.fail("mode {}", mode);
    const ValueId floor = emit(Op::floor, {x}, "floor");
    const ValueId part = emit(Op::sub, {x, floor}, "fraction");
    std::vector<Tap> taps;
    for (int i = -1; i <= 2; ++i)
      taps.push_back(tap(inside(scale(floor, 1, i, "tap")), cubic(part, i)));
    return taps;
  }

 private:
  ValueId emit(Op op, std::vector<ValueId> inputs, const char* suffix) const {
    return n_.emit(op, NoAttrs{}, std::move(inputs), suffix);
  }
  ValueId scale(ValueId x, double factor, double offset, const char* suffix) const {
    return n_.emit(Op::scale, ScaleAttrs{factor, offset}, {x}, suffix);
  }
  ValueId clamp(ValueId x) const {
    return n_.emit(Op::clamp, ClampAttrs{0, size_ - 1}, {x}, "clamp");
  }

  // Where a coordinate outside of the image is seen.
  ValueId inside(ValueId x) const {
    if (padding_ == "zeros") return x;
    if (padding_ == "border") return clamp(x);
    // There and back between the first and the last element, or their outer edges.
    const double first = aligned_ ? 0 : -0.5, span = aligned_ ? size_ - 1 : size_;
    if (span == 0) return scale(x, 0, 0, "only");
    const ValueId turns = scale(x, 0.5 / span, -0.5 * first / span, "turns");
    const ValueId whole = emit(Op::floor, {turns}, "whole_turns");
    const ValueId turn = emit(Op::sub, {turns, whole}, "turn");  // 0 .. 1
    const ValueId back = emit(Op::abs, {scale(turn, 2 * span, -span, "from_end")}, "back");
    return clamp(scale(back, -1, span + first, "reflected"));
  }

  // With zeros around the image, a place outside of it counts nothing.
  Tap tap(ValueId place, ValueId weight) const {
    const ValueId at = clamp(place);
    if (padding_ != "zeros") return {at, weight};
    const ValueId counts = emit(Op::equal, {at, place}, "counts");
    return {at, weight == kNone ? counts : emit(Op::mul, {weight, counts}, "weight")};
  }

  // The weight of the element `i` on from the one before a point, `part` of the way to the next.
  ValueId cubic(ValueId part, int i) const {
    constexpr double a = -0.75;
    const ValueId x = i <= 0 ? scale(part, 1, -i, "distance") : scale(part, -1, i, "distance");
    const auto times_x = [&](ValueId v) { return emit(Op::mul, {v, x}, "times_distance"); };
    if (i == 0 || i == 1) {  // ((a + 2) x - (a + 3)) x x + 1
      const ValueId y = times_x(times_x(scale(x, a + 2, -(a + 3), "inner")));
      return scale(y, 1, 1, "weight");
    }
    // ((a x - 5 a) x + 8 a) x - 4 a
    const ValueId y = scale(times_x(scale(x, a, -5 * a, "outer")), 1, 8 * a, "outer");
    return scale(times_x(y), 1, -4 * a, "weight");
  }

  const OnnxNode& n_;
  const double size_;
  const bool aligned_;
  const std::string padding_;
};

}  // namespace

// y[n, c, point] = the sum of the elements of x[n, c] around grid[n, point], each times its weight.
void import_GridSample(OnnxNode& n) {
  const Dims dims = n.dims(0), grid = n.dims(1);
  const int axes = static_cast<int>(dims.size()) - 2;
  if (axes < 1 || grid.size() != dims.size() || grid.back() != axes || grid[0] != dims[0])
    n.fail("a grid of shape {} for {}", dims_text(grid), dims_text(dims));
  const int64_t channels = dims[1];
  const int64_t points = count_elements(Dims(grid.begin() + 1, grid.end() - 1));
  const ValueId last = n.to_channels_last(n.operand(0));
  const int64_t pixels = n.shape(last).elements() / (dims[0] * channels);
  const ValueId image = n.reshape(last, {dims[0], pixels, channels}, "image");
  const std::string mode = n.text("mode", n.opset() < 20 ? "bilinear" : "linear");

  std::vector<std::vector<Tap>> taps;  // by axis of the image; the grid has the last one first
  for (int i = 0; i < axes; ++i) {
    const ValueId part = n.slice(n.value(1), axes + 1, axes - 1 - i, 1, "axis");
    const ValueId flat = n.reshape(part, {dims[0], points}, "points");
    taps.push_back(AxisSampler(n, dims[2 + i]).taps(flat, mode));
  }
  ValueId sum = kNone;
  const std::function<void(int, ValueId, ValueId)> add = [&](int axis, ValueId at, ValueId weight) {
    if (axis < axes) {
      for (const Tap& tap : taps[axis]) {
        ValueId place = tap.place, counts = tap.weight;
        if (at != kNone) {
          const ScaleAttrs rows{static_cast<double>(dims[2 + axis]), 0};
          const ValueId row = n.emit(Op::scale, rows, {at}, "rows");
          place = n.emit(Op::add, NoAttrs{}, {row, place}, "place");
        }
        if (weight != kNone)
          counts = counts == kNone ? weight
                                   : n.emit(Op::mul, NoAttrs{}, {weight, counts}, "weight");
        add(axis + 1, place, counts);
      }
      return;
    }
    ValueId term = take_along(n, image, at, "seen");
    if (weight != kNone) {
      const ValueId column = n.reshape(weight, {dims[0], points, 1}, "weight");
      term = n.emit(Op::mul, NoAttrs{}, {term, column}, "weighted");
    }
    sum = sum == kNone ? term : n.emit(Op::add, NoAttrs{}, {sum, term}, "sum");
  };
  add(0, kNone, kNone);
  Dims y(grid.begin(), grid.end() - 1);
  y.push_back(channels);
  n.set_channels_last(0, n.reshape(sum, y, "sampled"));
}

// The points (x, y, 1) of an image, -1 .. 1 along each axis, times theta.
void import_AffineGrid(OnnxNode& n) {
  const Dims size = n.known_ints(1, "size"), theta = n.dims(0);
  const auto axes = static_cast<int64_t>(size.size()) - 2;
  if (axes < 1 || theta != Dims{size[0], axes, axes + 1})
    n.fail("theta of shape {} for {}", dims_text(theta), dims_text(size));
  const Dims image(size.begin() + 2, size.end()), strides = strides_of(image);
  const int64_t points = count_elements(image);
  if (points * (axes + 1) > kMaxComputedElements) n.fail("size {}", dims_text(size));
  const bool aligned = n.integer("align_corners", 0) != 0;
  std::vector<double> base;
  for (int64_t p = 0; p < points; ++p) {
    for (size_t i = image.size(); i-- > 0;) {
      const auto at = static_cast<double>(p / strides[i] % image[i]);
      const auto length = static_cast<double>(image[i]);
      if (aligned)
        base.push_back(length == 1 ? 0 : 2 * at / (length - 1) - 1);
      else
        base.push_back((2 * at + 1) / length - 1);
    }
    base.push_back(1);
  }
  const ValueId rows = n.reshape(n.value(0), {size[0] * axes, axes + 1}, "rows");
  const ValueId all = constant(n, {points, axes + 1}, base, "points");
  const ValueId moved = n.emit(Op::linear, LinearAttrs{}, {rows, all}, "moved");
  const ValueId by_axis = n.reshape(moved, {size[0], axes, points}, "by_axis");
  Dims y = {size[0]};
  y.insert(y.end(), image.begin(), image.end());
  y.push_back(axes);
  n.set(0, n.reshape(n.transpose(by_axis, {0, 2, 1}, "by_point"), y, nullptr));
}

}  // namespace attune
