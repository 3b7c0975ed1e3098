#include "graph/import/onnx/indexing/places.h"

#include <algorithm>
#include <numeric>

#include "graph/import/common/known_math.h"

namespace attune {
namespace {

int64_t product(const Dims& dims, size_t from = 0) {
  return count_elements(Dims(dims.begin() + static_cast<ptrdiff_t>(from), dims.end()));
}

// Whether each of `count` parts of a list has the places of the first one, a part of the tensor on.
bool repeats(const Dims& places, size_t part, int64_t stride) {
  for (size_t i = 0; i < places.size(); ++i)
    if (places[i % part] >= stride ||
        places[i] != static_cast<int64_t>(i / part) * stride + places[i % part])
      return false;
  return true;
}

// Whether a list is of whole runs of `run` elements.
bool runs(const Dims& places, int64_t run) {
  for (size_t i = 0; i < places.size(); ++i) {
    const auto within = static_cast<int64_t>(i) % run;
    const int64_t first = places[i - static_cast<size_t>(within)];
    if (first % run != 0 || places[i] != first + within) return false;
  }
  return true;
}

}  // namespace

Blocks blocks_of(const Dims& of, const Dims& list, const Dims& places) {
  Blocks made{1, 1, places};
  int64_t size = product(of);
  size_t axis = 0;
  for (; axis < of.size() && axis < list.size() && of[axis] == list[axis]; ++axis) {
    const auto part = made.places.size() / static_cast<size_t>(of[axis]);
    if (part == 0 || !repeats(made.places, part, size / of[axis])) break;
    made.places.resize(part);
    made.lead *= of[axis];
    size /= of[axis];
  }
  for (; axis < of.size(); ++axis) {
    made.inner = product(of, axis);
    if (static_cast<int64_t>(made.places.size()) % made.inner == 0 &&
        runs(made.places, made.inner))
      break;
    made.inner = 1;
  }
  for (size_t i = 0; i * static_cast<size_t>(made.inner) < made.places.size(); ++i)
    made.places[i] = made.places[i * static_cast<size_t>(made.inner)] / made.inner;
  made.places.resize(made.places.size() / static_cast<size_t>(made.inner));
  return made;
}

ValueId select(const OnnxNode& n, ValueId x, int axis, const Dims& indices, const char* suffix) {
  const auto count = static_cast<int64_t>(indices.size());
  bool follow = true;
  for (int64_t i = 1; i < count; ++i) follow = follow && indices[i] == indices[i - 1] + 1;
  if (follow) return n.slice(x, axis, indices[0], count, suffix);
  const ValueId chosen = n.graph().add_index_constant(n.part_name("places"), indices);
  return n.emit(Op::select, AxisAttrs{axis}, {x, chosen}, suffix);
}

ValueId select_elements(const OnnxNode& n, ValueId x, const Dims& places, const Dims& dims) {
  const Blocks blocks = blocks_of(to_dims(n.shape(x)), dims, places);
  const int64_t rows = n.shape(x).elements() / blocks.lead / blocks.inner;
  const ValueId seen = n.reshape(x, {blocks.lead, rows, blocks.inner}, "blocks");
  return n.reshape(select(n, seen, 1, blocks.places, "select"), dims, nullptr);
}

void set_elements(const OnnxNode& n, const Dims& places, const Dims& dims) {
  if (stays_known(n, 0)) {
    const KnownTensor& x = n.known(0, "input");
    return n.set(0, reshape(gather(reshape(x, {x.elements()}), vector_of(places), 0), dims));
  }
  n.set(0, select_elements(n, n.operand(0), places, dims));
}

bool is_trained(const OnnxNode& n, int input) {
  if (!n.is_known(input)) return false;
  const KnownTensor& x = n.known(input, "input");
  return is_parameter(x, Use::operand) &&
         (x.view->mark == Mark::parameter || x.dims.size() > 1);
}

bool stays_known(const OnnxNode& n, int input) {
  return n.is_known(input) && !is_trained(n, input);
}

ValueId constant(const OnnxNode& n, const Dims& dims, std::vector<double> reals,
                 const char* suffix) {
  return n.graph().add_constant(n.part_name(suffix), to_shape(dims), std::move(reals));
}

ValueId counted(const OnnxNode& n, int64_t count, int axis, int rank, const char* suffix) {
  Dims dims(static_cast<size_t>(rank), 1);
  dims[static_cast<size_t>(axis)] = count;
  std::vector<double> reals(static_cast<size_t>(count));
  std::iota(reals.begin(), reals.end(), 0);
  return constant(n, dims, std::move(reals), suffix);
}

KnownTensor known_reals(ElementType type, const Dims& dims, std::vector<double> reals) {
  KnownTensor y;
  y.type = ElementType::f64;
  y.dims = dims;
  y.data = Data::of_reals(std::move(reals));
  return cast(y, type);
}

Dims inside_axis(const OnnxNode& n, const KnownTensor& indices, int64_t size) {
  if (indices.real()) n.fail("indices that are floats");
  Dims places = indices.data->ints();
  for (int64_t& place : places) {
    if (place < -size || place >= size) n.fail("index {} of an axis of {}", place, size);
    if (place < 0) place += size;
  }
  return places;
}

Dims places_along(const OnnxNode& n, const KnownTensor& indices, const Dims& x, int axis) {
  Dims places = inside_axis(n, indices, x[axis]);
  const Dims strides = strides_of(x), own = strides_of(indices.dims);
  for (size_t i = 0; i < places.size(); ++i) {
    places[i] *= strides[axis];
    for (int a = 0; a < static_cast<int>(x.size()); ++a)
      if (a != axis) places[i] += static_cast<int64_t>(i) / own[a] % indices.dims[a] * strides[a];
  }
  return places;
}

Dims strides_of(const Dims& dims) {
  Dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

Perm axis_last(int rank, int axis) {
  Perm perm = identity_perm(rank);
  std::rotate(perm.begin() + axis, perm.begin() + axis + 1, perm.end());
  return perm;
}

ValueId take_along(const OnnxNode& n, ValueId x, ValueId ids, const char* suffix) {
  if (is_real(n.graph().value(ids).dtype))
    ids = n.emit(Op::to_places, NoAttrs{}, {ids}, "ids");
  return n.emit(Op::take_along, NoAttrs{}, {x, ids}, suffix);
}

ValueId from_start(const OnnxNode& n, ValueId ids, int64_t size) {
  const ValueId negative = n.emit(Op::less, NoAttrs{}, {ids, n.number(0)}, "negative");
  const ValueId shift =
      n.emit(Op::scale, ScaleAttrs{static_cast<double>(size), 0}, {negative}, "shift");
  return n.emit(Op::add, NoAttrs{}, {ids, shift}, "from_start");
}

}  // namespace attune
