#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numbers>
#include <numeric>

#include "graph/import/common/known_math.h"
#include "graph/import/onnx/indexing/places.h"

// Operators whose result, or its shape, follows from what is known at import.
namespace attune {
namespace {

ElementType wanted_type(const OnnxNode& n, const char* attribute, ElementType otherwise) {
  const auto type = element_type(
      static_cast<int32_t>(n.integer(attribute, static_cast<int32_t>(otherwise))));
  if (!type) n.fail("{} {}", attribute, n.integer(attribute, 0));
  return *type;
}

// c0 - c1 cos(2 pi i / length) + c2 cos(4 pi i / length)
void set_window(OnnxNode& n, double c0, double c1, double c2) {
  const auto size = static_cast<int64_t>(n.known_scalar(0, "size"));
  if (size < 1 || size > kMaxComputedElements) n.fail("a window of {}", size);
  const bool periodic = n.integer("periodic", 1) != 0;
  const auto length = static_cast<double>(periodic ? size : std::max<int64_t>(size - 1, 1));
  std::vector<double> window;
  for (int64_t i = 0; i < size; ++i) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(i) / length;
    window.push_back(c0 - c1 * std::cos(angle) + c2 * std::cos(2 * angle));
  }
  n.set(0, known_reals(wanted_type(n, "output_datatype", ElementType::f32), {size}, window));
}

// Which elements of a known tensor are not 0.
std::vector<bool> marked(const KnownTensor& x) {
  std::vector<double> reals(static_cast<size_t>(x.elements()));
  x.data->read(0, std::span(reals));
  std::vector<bool> result;
  for (double v : reals) result.push_back(v != 0);
  return result;
}

}  // namespace

void import_HannWindow(OnnxNode& n) { set_window(n, 0.5, 0.5, 0); }
void import_HammingWindow(OnnxNode& n) { set_window(n, 25.0 / 46, 21.0 / 46, 0); }
void import_BlackmanWindow(OnnxNode& n) { set_window(n, 0.42, 0.5, 0.08); }

// Triangles between the bands' edges, which are as far apart on the mel scale.
void import_MelWeightMatrix(OnnxNode& n) {
  const auto bands = static_cast<int64_t>(n.known_scalar(0, "num_mel_bins"));
  const auto length = static_cast<int64_t>(n.known_scalar(1, "dft_length"));
  const double rate = n.known_scalar(2, "sample_rate");
  const auto mel = [](double hz) { return 2595 * std::log10(1 + hz / 700); };
  const double low = mel(n.known_scalar(3, "lower_edge_hertz"));
  const double high = mel(n.known_scalar(4, "upper_edge_hertz"));
  const int64_t bins = length / 2 + 1;
  if (bands < 1 || length < 1 || !(rate > 0) || bands > 1 << 16 || length > 1 << 20)
    n.fail("{} bands of {} at {} Hz", bands, length, rate);
  Dims edges;
  for (int64_t i = 0; i < bands + 2; ++i) {
    const double at = low + static_cast<double>(i) * (high - low) / static_cast<double>(bands + 2);
    const double hz = 700 * (std::pow(10, at / 2595) - 1);
    edges.push_back(static_cast<int64_t>(std::floor(static_cast<double>(length + 1) * hz / rate)));
  }
  if (edges.front() < 0 || edges.back() > bins) n.fail("bands outside of the spectrogram");
  std::vector<double> weights(static_cast<size_t>(bins * bands), 0);
  for (int64_t b = 0; b < bands; ++b) {
    const int64_t first = edges[b], middle = edges[b + 1], last = edges[b + 2];
    const auto set = [&](int64_t bin, int64_t part, int64_t whole) {
      if (bin < bins)
        weights[bin * bands + b] = static_cast<double>(part) / static_cast<double>(whole);
    };
    if (first == middle) set(middle, 1, 1);
    for (int64_t i = first; first < middle && i <= middle; ++i) set(i, i - first, middle - first);
    for (int64_t i = middle; i < last; ++i) set(i, last - i, last - middle);
  }
  n.set(0, known_reals(wanted_type(n, "output_datatype", ElementType::f32), {bins, bands}, weights));
}

void import_EyeLike(OnnxNode& n) {
  const Dims dims = n.dims(0);
  if (dims.size() != 2) n.fail("its input has shape {}", dims_text(dims));
  if (count_elements(dims) > kMaxComputedElements) n.fail("its input has shape {}", dims_text(dims));
  const int64_t k = n.integer("k", 0);
  std::vector<double> reals;
  for (int64_t i = 0; i < dims[0]; ++i)
    for (int64_t j = 0; j < dims[1]; ++j) reals.push_back(j - i == k);
  n.set(0, known_reals(wanted_type(n, "dtype", n.type(0)), dims, std::move(reals)));
}

// What is above (or below) the diagonal k stays; the rest is 0, even where it is no number.
void import_Trilu(OnnxNode& n) {
  const Dims dims = n.dims(0);
  if (dims.size() < 2) n.fail("its input has shape {}", dims_text(dims));
  const double k = n.has(1) ? n.known_scalar(1, "k") : 0;
  const bool upper = n.integer("upper", 1) != 0;
  const Dims matrix(dims.end() - 2, dims.end());
  std::vector<double> keep;
  for (int64_t i = 0; i < matrix[0]; ++i)
    for (int64_t j = 0; j < matrix[1]; ++j) {
      const auto diagonal = static_cast<double>(j - i);
      keep.push_back(upper ? diagonal >= k : diagonal <= k);
    }
  if (stays_known(n, 0)) {
    const KnownTensor& x = n.known(0, "input");
    const KnownTensor mask = known_reals(ElementType::boolean, matrix, keep);
    return n.set(0, where(mask, x, known_reals(x.type, {}, {0})));
  }
  const ValueId mask = constant(n, matrix, std::move(keep), "triangle");
  n.set(0, n.emit(Op::where, NoAttrs{}, {mask, n.operand(0), n.number(0)}));
}

// The slices that a known condition marks; without an axis, of all elements.
void import_Compress(OnnxNode& n) {
  const std::vector<bool> condition = marked(n.known(1, "condition"));
  const Dims dims = n.dims(0);
  const bool flat = !n.has_attribute("axis");
  const int axis = flat ? 0 : normal_axis(n.integer("axis", 0), static_cast<int>(dims.size()));
  const int64_t size = flat ? count_elements(dims) : dims[axis];
  Dims chosen;
  for (int64_t i = 0; i < std::min(size, static_cast<int64_t>(condition.size())); ++i)
    if (condition[i]) chosen.push_back(i);
  if (stays_known(n, 0)) {
    const KnownTensor& x = n.known(0, "input");
    return n.set(0, gather(flat ? reshape(x, {size}) : x, vector_of(chosen), axis));
  }
  if (chosen.empty()) n.fail("nothing is left");
  const ValueId x = n.operand(0);
  n.set(0, select(n, flat ? n.reshape(x, {size}, "flat") : x, axis, chosen, nullptr));
}

void import_NonZero(OnnxNode& n) {
  const KnownTensor& x = n.known(0, "input");
  const std::vector<bool> there = marked(x);
  const Dims strides = strides_of(x.dims);
  Dims places;
  for (size_t axis = 0; axis < x.dims.size(); ++axis)
    for (size_t i = 0; i < there.size(); ++i)
      if (there[i]) places.push_back(static_cast<int64_t>(i) / strides[axis] % x.dims[axis]);
  const int64_t count = std::count(there.begin(), there.end(), true);
  n.set(0, reshape(vector_of(std::move(places)), {static_cast<int64_t>(x.dims.size()), count}));
}

// Slices along an axis that differ, or elements: sorted, or in the order of their first.
void import_Unique(OnnxNode& n) {
  KnownTensor x = n.known(0, "input");
  if (!n.has_attribute("axis")) x = reshape(x, {x.elements()});
  const int rank = static_cast<int>(x.dims.size());
  const int axis = normal_axis(n.integer("axis", 0), rank);
  Perm first = identity_perm(rank);
  std::rotate(first.begin(), first.begin() + axis, first.begin() + axis + 1);
  const KnownTensor turned = transpose(x, first);
  std::vector<double> reals(static_cast<size_t>(x.elements()));
  turned.data->read(0, std::span(reals));
  const auto width = x.dims[axis] == 0 ? 0 : x.elements() / x.dims[axis];
  const auto slice = [&](int64_t i) {
    return std::vector<double>(reals.begin() + i * width, reals.begin() + (i + 1) * width);
  };
  std::map<std::vector<double>, int64_t> first_of;
  for (int64_t i = 0; i < x.dims[axis]; ++i) first_of.emplace(slice(i), i);
  Dims firsts;
  for (const auto& entry : first_of) firsts.push_back(entry.second);
  if (n.integer("sorted", 1) == 0) std::sort(firsts.begin(), firsts.end());
  Dims inverse, counts(firsts.size(), 0);
  for (int64_t i = 0; i < x.dims[axis]; ++i) {
    const auto at = std::find(firsts.begin(), firsts.end(), first_of.at(slice(i)));
    inverse.push_back(at - firsts.begin());
    ++counts[inverse.back()];
  }
  n.set(0, gather(x, vector_of(firsts), axis));
  if (n.wants(1)) n.set(1, vector_of(firsts));
  if (n.wants(2)) n.set(2, vector_of(inverse));
  if (n.wants(3)) n.set(3, vector_of(counts));
}

}  // namespace attune
