#include <algorithm>
#include <cmath>
#include <numeric>

#include "graph/import/onnx/indexing/places.h"

// Along each axis, an element of the result is a weighted sum of elements of the input: of one
// (nearest), two (linear) or four (cubic), or more where an antialias covers what is left out. So
// it is as many selections, each times its weights: as much work as the result is large.
namespace attune {
namespace {

constexpr int64_t kMostTaps = 1024;               // of an element
constexpr size_t kMostWeights = size_t{1} << 22;  // along an axis

struct ResizeMode {
  std::string mode, coordinates, rounding;
  double cubic = -0.75, outside = 0;  // of what lies outside of a region
  bool leave_outside = false, antialias = false;
};

struct AxisSizes {
  int axis = 0;
  int64_t in = 0, out = 0;
  double scale = 1, region_start = 0, region_end = 1;
};

// Where element o of the result is in the input. In single precision where it is rounded then, as
// runtimes compute it.
template <class T>
T coordinate(const ResizeMode& kernel, const AxisSizes& a, int64_t o) {
  const T at = static_cast<T>(o), scale = static_cast<T>(a.scale), half = T(0.5);
  const T in = static_cast<T>(a.in), out = static_cast<T>(a.out);
  const std::string& mode = kernel.coordinates;
  if (mode == "half_pixel") return (at + half) / scale - half;
  if (mode == "pytorch_half_pixel") return a.out == 1 ? 0 : (at + half) / scale - half;
  if (mode == "asymmetric") return at / scale;
  if (mode == "align_corners") return a.out == 1 ? 0 : at * (in - 1) / (out - 1);
  if (mode == "half_pixel_symmetric") {
    const T adjustment = out / (scale * in);
    return in / 2 * (1 - adjustment) + (at + half) / scale - half;
  }
  if (mode == "tf_half_pixel_for_nn") return (at + half) / scale;
  if (mode == "tf_crop_and_resize") {
    const T start = static_cast<T>(a.region_start), end = static_cast<T>(a.region_end);
    if (a.out == 1) return half * (start + end) * (in - 1);
    return start * (in - 1) + at * (end - start) * (in - 1) / (out - 1);
  }
  throw_error("coordinate_transformation_mode {}", mode);
}

int64_t nearest(const std::string& rounding, float x) {
  if (rounding == "round_prefer_floor") return static_cast<int64_t>(std::ceil(x - 0.5f));
  if (rounding == "round_prefer_ceil") return static_cast<int64_t>(std::floor(x + 0.5f));
  if (rounding == "floor") return static_cast<int64_t>(std::floor(x));
  if (rounding == "ceil") return static_cast<int64_t>(std::ceil(x));
  throw_error("nearest_mode {}", rounding);
}

double weight_at(const ResizeMode& kernel, double distance) {
  const double x = std::fabs(distance), a = kernel.cubic;
  if (kernel.mode == "linear") return std::max(0.0, 1 - x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

struct WeightedPlace {
  int64_t place;
  double weight;
};

// What element o of the result is made of. Places outside are the edge's, or left out.
std::vector<WeightedPlace> taps_of(const ResizeMode& kernel, const AxisSizes& a, int64_t o) {
  if (kernel.mode == "nearest") {
    const int64_t place = nearest(kernel.rounding, coordinate<float>(kernel, a, o));
    return {{std::clamp<int64_t>(place, 0, a.in - 1), 1}};
  }
  const double x = coordinate<double>(kernel, a, o), whole = std::floor(x);
  const double squeeze = kernel.antialias ? std::min(a.scale, 1.0) : 1;
  const double reach = (kernel.mode == "linear" ? 1 : 2) / squeeze;
  if (reach > kMostTaps) throw_error("an antialias over {} elements", reach);
  const auto first = static_cast<int64_t>(std::floor(-reach)) + 1;
  std::vector<WeightedPlace> taps;
  double sum = 0;
  for (int64_t i = first; i <= 1 - first; ++i) {
    const int64_t at = static_cast<int64_t>(whole) + i,
                  place = std::clamp<int64_t>(at, 0, a.in - 1);
    double weight = weight_at(kernel, (static_cast<double>(at) - x) * squeeze);
    if (weight == 0 || (kernel.leave_outside && at != place)) continue;
    sum += weight;
    if (!taps.empty() && taps.back().place == place)
      taps.back().weight += weight;
    else
      taps.push_back({place, weight});
  }
  for (WeightedPlace& tap : taps) tap.weight /= sum;
  return taps;
}

ValueId resize_axis(const OnnxNode& n, ValueId x, const AxisSizes& a, const ResizeMode& kernel) {
  std::vector<std::vector<WeightedPlace>> taps;
  std::vector<double> added(static_cast<size_t>(a.out), 0);
  size_t most = 0, all = static_cast<size_t>(a.out);
  for (int64_t o = 0; o < a.out; ++o) {
    if (all > kMostWeights) n.fail("more than {} weights along axis {}", kMostWeights, a.axis);
    const double at = coordinate<double>(kernel, a, o);
    const bool crops = kernel.coordinates == "tf_crop_and_resize";
    if (crops && (at < 0 || at > static_cast<double>(a.in - 1))) {
      taps.push_back({{0, 0}});
      added[o] = kernel.outside;
    } else {
      taps.push_back(taps_of(kernel, a, o));
    }
    most = std::max(most, taps.back().size());
    all += taps.back().size();
  }
  Dims column(static_cast<size_t>(n.shape(x).rank - a.axis), 1);
  column[0] = a.out;
  ValueId sum = kNone;
  for (size_t t = 0; t < most; ++t) {
    Dims places;
    std::vector<double> weights;
    for (const auto& own : taps) {
      places.push_back(own[std::min(t, own.size() - 1)].place);
      weights.push_back(t < own.size() ? own[t].weight : 0);
    }
    const bool plain = std::all_of(weights.begin(), weights.end(), [](double w) { return w == 1; });
    ValueId term = select(n, x, a.axis, places, "tap");
    if (!plain)
      term =
          n.emit(Op::mul, NoAttrs{}, {term, constant(n, column, weights, "weights")}, "weighted");
    sum = sum == kNone ? term : n.emit(Op::add, NoAttrs{}, {sum, term}, "sum");
  }
  if (std::any_of(added.begin(), added.end(), [](double v) { return v != 0; }))
    sum = n.emit(Op::add, NoAttrs{}, {sum, constant(n, column, added, "outside")}, "filled");
  return sum;
}

std::vector<double> known_reals_of(const OnnxNode& n, int input, const char* what) {
  if (!n.has(input)) return {};
  const KnownTensor& x = n.known(input, what);
  return x.real() ? x.data->reals() : std::vector<double>{};
}

int64_t scaled_size(const OnnxNode& n, int64_t size, double scale) {
  const float scaled = static_cast<float>(size) * static_cast<float>(scale);
  if (!(scaled >= 1 && scaled < 1 << 24)) n.fail("a scale of {}", scale);
  return static_cast<int64_t>(std::floor(scaled));
}

void resize(OnnxNode& n, const std::vector<AxisSizes>& axes, const ResizeMode& kernel) {
  std::vector<AxisSizes> order = axes;
  const auto growth = [](const AxisSizes& a) { return static_cast<double>(a.out) / a.in; };
  std::stable_sort(order.begin(), order.end(),
                   [&](const auto& a, const auto& b) { return growth(a) < growth(b); });
  const ValueId x = n.operand(0);
  ValueId y = x;
  for (const AxisSizes& a : order) y = resize_axis(n, y, a, kernel);
  y == x ? n.alias(0, 0) : n.set(0, y);
}

ResizeMode read_kernel(const OnnxNode& n) {
  ResizeMode kernel;
  kernel.mode = n.text("mode", "nearest");
  if (kernel.mode != "nearest" && kernel.mode != "linear" && kernel.mode != "cubic")
    n.fail("mode {}", kernel.mode);
  const bool old = n.opset() < 11;
  kernel.coordinates = n.text("coordinate_transformation_mode", old ? "asymmetric" : "half_pixel");
  kernel.rounding = n.text("nearest_mode", old ? "floor" : "round_prefer_floor");
  kernel.cubic = n.real("cubic_coeff_a", -0.75);
  kernel.outside = n.real("extrapolation_value", 0);
  kernel.antialias = n.integer("antialias", 0) != 0 && kernel.mode != "nearest";
  kernel.leave_outside = n.integer("exclude_outside", 0) != 0;
  return kernel;
}

}  // namespace

void import_Resize(OnnxNode& n) {
  const ResizeMode kernel = read_kernel(n);
  const Dims dims = n.dims(0);
  const int rank = static_cast<int>(dims.size());
  Dims given(dims.size());
  std::iota(given.begin(), given.end(), 0);
  given = n.ints("axes", given);
  const int at_scales = n.opset() < 11 ? 1 : 2;
  const std::vector<double> scales = known_reals_of(n, at_scales, "scales");
  const std::vector<double> region = n.opset() < 11 ? scales : known_reals_of(n, 1, "roi");
  const Dims sizes = n.opset() >= 11 && n.has(3) ? n.known_ints(3, "sizes") : Dims{};
  if ((sizes.empty() ? scales.size() : sizes.size()) != given.size())
    n.fail("{} scales and {} sizes for {} axes", scales.size(), sizes.size(), given.size());
  const std::string policy = n.text("keep_aspect_ratio_policy", "stretch");
  if (policy != "stretch" && policy != "not_larger" && policy != "not_smaller")
    n.fail("keep_aspect_ratio_policy {}", policy);
  const bool crops = kernel.coordinates == "tf_crop_and_resize";
  if (crops && region.size() != 2 * given.size()) n.fail("a region of {} numbers", region.size());
  std::vector<AxisSizes> axes;
  for (size_t i = 0; i < given.size(); ++i) {
    AxisSizes a{.axis = normal_axis(given[i], rank)};
    a.in = dims[a.axis];
    if (sizes.empty()) {
      a.scale = scales[i];
      a.out = scaled_size(n, a.in, a.scale);
    } else {
      a.out = sizes[i];
      if (a.out < 1 || a.out > kMaxComputedElements) n.fail("sizes {}", dims_text(sizes));
      a.scale = static_cast<double>(a.out) / static_cast<double>(a.in);
    }
    if (crops) a.region_start = region[i], a.region_end = region[given.size() + i];
    axes.push_back(a);
  }
  if (!sizes.empty() && policy != "stretch") {
    const auto less = [](const AxisSizes& a, const AxisSizes& b) { return a.scale < b.scale; };
    const double scale = policy == "not_larger"
                             ? std::min_element(axes.begin(), axes.end(), less)->scale
                             : std::max_element(axes.begin(), axes.end(), less)->scale;
    for (AxisSizes& a : axes) {
      a.scale = scale;
      a.out = static_cast<int64_t>(std::floor(scale * static_cast<double>(a.in) + 0.5));
    }
  }
  // What stays as it is.
  std::erase_if(axes, [&](const AxisSizes& a) { return a.out == a.in && a.scale == 1 && !crops; });
  resize(n, axes, kernel);
}

void import_Upsample(OnnxNode& n) {
  ResizeMode kernel = read_kernel(n);
  const Dims dims = n.dims(0);
  const std::vector<double> scales =
      n.opset() < 9 ? n.reals("scales") : known_reals_of(n, 1, "scales");
  if (scales.size() != dims.size()) n.fail("{} scales for {} axes", scales.size(), dims.size());
  std::vector<AxisSizes> axes;
  for (size_t i = 0; i < dims.size(); ++i)
    if (scales[i] != 1)
      axes.push_back({.axis = static_cast<int>(i),
                      .in = dims[i],
                      .out = scaled_size(n, dims[i], scales[i]),
                      .scale = scales[i]});
  resize(n, axes, kernel);
}

}  // namespace attune
