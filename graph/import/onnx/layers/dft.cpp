// Fourier transforms along an axis, as products with a constant matrix.
#include <cmath>
#include <numbers>

#include "graph/import/onnx/onnx_node.h"

namespace attune {
namespace {

constexpr int64_t kLargestTransform = 1 << 14;  // a longer one would have too large a matrix

// What `parts` numbers (real, imaginary) of each of `steps` places give to real and imaginary
// part of the first `bins` frequencies of a transform of this length: [steps*parts, bins*2].
ValueId matrix(const OnnxNode& n, int64_t steps, int64_t parts, int64_t length, int64_t bins,
               bool inverse, const std::vector<double>& window) {
  if (steps * parts > kLargestTransform || bins * 2 > kLargestTransform)
    n.fail("a transform of {} places; {} are supported", length, kLargestTransform / 2);
  std::vector<double> elements;
  for (int64_t t = 0; t < steps; ++t)
    for (int64_t part = 0; part < parts; ++part)
      for (int64_t k = 0; k < bins; ++k) {
        // The remainder first: sines of large numbers are not exact.
        const double turn = static_cast<double>(k * t % length) / static_cast<double>(length);
        const double angle = (inverse ? 2 : -2) * std::numbers::pi * turn;
        double size = window.empty() ? 1 : window[static_cast<size_t>(t)];
        if (inverse) size /= static_cast<double>(length);
        const double c = std::cos(angle) * size, s = std::sin(angle) * size;
        elements.push_back(part == 0 ? c : -s);
        elements.push_back(part == 0 ? s : c);
      }
  return n.constant({steps * parts, bins * 2}, std::move(elements), "waves");
}

int64_t whole(const OnnxNode& n, int input, const char* what) {
  const double x = n.known_scalar(input, what);
  if (x < 1 || x > kLargestTransform) n.fail("its {} is {}", what, x);
  return static_cast<int64_t>(x);
}

int64_t parts_of(const OnnxNode& n, const Dims& dims, size_t least) {
  if (dims.size() < least || dims.size() > kMaxRank || dims.back() < 1 || dims.back() > 2)
    n.fail("its input has shape {}; its last axis is for real and imaginary part", dims_text(dims));
  return dims.back();
}

}  // namespace

void import_DFT(OnnxNode& n) {
  const Dims dims = n.dims(0);
  const int rank = static_cast<int>(dims.size());
  const int64_t parts = parts_of(n, dims, 2);
  int64_t given = n.opset() < 20 ? n.integer("axis", 1) : -2;
  if (n.has(2)) given = static_cast<int64_t>(n.known_scalar(2, "axis"));
  const int axis = normal_axis(given, rank);
  if (axis == rank - 1) n.fail("axis {} holds real and imaginary part", given);
  const bool inverse = n.integer("inverse", 0) != 0, one_side = n.integer("onesided", 0) != 0;
  if (one_side && inverse) n.fail("onesided with inverse");
  const int64_t length = n.has(1) ? whole(n, 1, "dft_length") : dims[axis];
  const int64_t steps = std::min(length, dims[axis]), bins = one_side ? length / 2 + 1 : length;

  Perm perm = identity_perm(rank);  // the axis goes before the parts
  std::rotate(perm.begin() + axis, perm.begin() + axis + 1, perm.end() - 1);
  const ValueId x = n.transpose(n.slice(n.value(0), axis, 0, steps, "places"), perm, "places");
  Dims result = to_dims(n.shape(x));
  const int64_t rows = n.shape(x).product(0, rank - 2);
  const ValueId waves = matrix(n, steps, parts, length, bins, inverse, {});
  ValueId y = n.reshape(x, {rows, steps * parts}, "rows");
  y = n.emit(Op::matmul, MatmulAttrs{}, {y, waves}, "transform");
  result[rank - 2] = bins;
  result[rank - 1] = 2;
  n.set(0, n.transpose(n.reshape(y, result, nullptr), attune::inverse(perm), nullptr));
}

// Of frames of the signal [N,L,1], each times a window.
void import_STFT(OnnxNode& n) {
  const Dims dims = n.dims(0);
  if (parts_of(n, dims, 3) != 1 || dims.size() != 3)
    n.fail("a signal of shape {}; [N,L,1] is supported", dims_text(dims));
  const int64_t step = whole(n, 1, "frame_step");
  std::vector<double> window;
  if (n.has(2)) window = n.known(2, "window").data->reals();
  const int64_t length =
      n.has(3) ? whole(n, 3, "frame_length") : static_cast<int64_t>(window.size());
  if (length < 1 || length > dims[1] ||
      (!window.empty() && window.size() != static_cast<size_t>(length)))
    n.fail("frames of {} and a window of {}, of {} samples", length, window.size(), dims[1]);
  const int64_t frames = (dims[1] - length) / step + 1;
  const int64_t bins = n.integer("onesided", 1) != 0 ? length / 2 + 1 : length;
  Dims places;
  for (int64_t f = 0; f < frames; ++f)
    for (int64_t t = 0; t < length; ++t) places.push_back(f * step + t);
  const ValueId signal = n.reshape(n.value(0), {dims[0], dims[1]}, "signal");
  ValueId y = n.emit(Op::select, AxisAttrs{1}, {signal, n.place_list(places, "places")}, "frames");
  y = n.reshape(y, {dims[0] * frames, length}, "frames");
  const ValueId waves = matrix(n, length, 1, length, bins, false, window);
  y = n.emit(Op::matmul, MatmulAttrs{}, {y, waves}, "transform");
  n.set(0, n.reshape(y, {dims[0], frames, bins, 2}, nullptr));
}

}  // namespace attune
