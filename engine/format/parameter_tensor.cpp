#include "engine/format/parameter_tensor.h"

#include <algorithm>

#include "engine/format/plan_tensor.h"

namespace attune {
namespace {

// Our axis i is the view's axis perm[i]; the view has the elements in the model's order.
int view_axis(const format::Parameter& parameter, int axis) {
  const auto* const perm = parameter.perm();
  return perm && perm->size() > 0 ? perm->Get(static_cast<flatbuffers::uoffset_t>(axis)) : axis;
}

int64_t dim_of(const format::Parameter& parameter, int axis) {
  return parameter.shape()->Get(static_cast<flatbuffers::uoffset_t>(axis));
}

ParameterTensor laid_out(const format::Parameter& parameter, bool narrow) {
  ParameterTensor t;
  t.parameter = &parameter;
  t.name = string_of(parameter.name());
  t.dtype = static_cast<DType>(parameter.dtype());
  t.rank = parameter.shape() ? static_cast<int>(parameter.shape()->size()) : 0;
  t.narrow = narrow;
  const int sliced = parameter.slice_axis();
  if (sliced >= 0 && parameter.slice()) {
    t.slice = parameter.slice()->data();
    t.channels = static_cast<int64_t>(parameter.slice()->size());
  }
  int64_t stride = 1, frozen_stride = 1;
  for (int axis = t.rank - 1; axis >= 0; --axis) {
    const int at = view_axis(parameter, axis);
    t.dims[at] = dim_of(parameter, axis);
    t.stride[at] = stride;
    t.frozen_stride[at] = frozen_stride;
    if (axis == sliced) t.slice_axis = at;
    stride *= axis == sliced && narrow ? t.channels : t.dims[at];
    frozen_stride *= axis == sliced ? t.dims[at] - t.channels : t.dims[at];
  }
  return t;
}

}  // namespace

std::string_view string_of(const flatbuffers::String* text) {
  return text ? std::string_view(text->c_str(), text->size()) : std::string_view();
}

int64_t ParameterTensor::elements() const {
  int64_t elements = 1;
  for (int axis = 0; axis < rank; ++axis) elements *= dims[axis];
  return elements;
}

int64_t ParameterTensor::trained() const {
  return slice_axis < 0 ? elements() : elements() / dims[slice_axis] * channels;
}

size_t ParameterTensor::held_bytes() const {
  return dtype_bytes(dtype, static_cast<size_t>(narrow ? trained() : elements()));
}

bool ElementRuns::next(ElementRun* run) {
  if (done_) return false;
  const ParameterTensor& t = tensor_;
  const int last = t.rank - 1;
  if (last < 0) {
    done_ = true;
    *run = {0, 1, 1, true, false};
    return true;
  }
  int64_t until = t.dims[last], place = 0;  // of the channel, among those that lie with it
  bool trained = true;
  if (t.slice_axis >= 0) {
    const int64_t at = index_[t.slice_axis];
    const int32_t* const end = t.slice + t.channels;
    const int32_t* found = std::lower_bound(t.slice, end, at);
    trained = found != end && *found == at;
    const int64_t before = found - t.slice;
    place = !t.narrow ? at : trained ? before : at - before;
    if (t.slice_axis == last && trained)
      for (until = at; found != end && *found == until; ++found) ++until;
    else if (t.slice_axis == last && found != end)
      until = *found;
  }
  const bool frozen = t.narrow && !trained;
  const int64_t* const stride = frozen ? t.frozen_stride : t.stride;
  *run = {0, stride[last], until - index_[last], trained, frozen};
  for (int axis = 0; axis <= last; ++axis)
    run->first += (axis == t.slice_axis ? place : index_[axis]) * stride[axis];
  if (frozen && !t.has_frozen) run->first = -1;
  index_[last] = until;
  int axis = last;
  while (axis >= 0 && index_[axis] == t.dims[axis]) {
    index_[axis--] = 0;
    if (axis >= 0) ++index_[axis];
  }
  done_ = axis < 0;
  return true;
}

int tensors_of(const format::Parameter& parameter) {
  return 1 + (parameter.slots() ? static_cast<int>(parameter.slots()->size()) : 0);
}

ParameterTensor parameter_tensor(const format::Parameter& parameter, int number) {
  ParameterTensor t = laid_out(parameter, number > 0 || parameter.narrow());
  t.slot = "value";
  t.state_offset = parameter.state_offset();
  t.has_frozen = number == 0 && parameter.narrow();
  t.frozen_offset = parameter.frozen_offset();
  if (number > 0) {
    const auto index = static_cast<flatbuffers::uoffset_t>(number - 1);
    t.slot = string_of(parameter.slot_names()->Get(index));
    t.state_offset = parameter.slots()->Get(index);
  }
  return t;
}

ParameterTensor gradient_tensor(const format::Parameter& parameter) {
  ParameterTensor t = laid_out(parameter, true);
  t.slot = "gradient";
  return t;
}

size_t kept_gradient_bytes(const format::Program& program) {
  size_t bytes = 0;
  if (program_kind(program) != ProgramKind::train_step) return bytes;
  const auto& ports = *program.ports();
  // A plan of anyone's may have any number of ports.
  constexpr unsigned kLookedBack = 1000;
  for (unsigned i = 0; i < ports.size(); ++i) {
    const format::Port& port = *ports.Get(i);
    if (role_of(port) != PortRole::gradient) continue;
    const format::Tensor& t = *program.tensors()->Get(static_cast<unsigned>(port.tensor()));
    bool counts = t.segment() == format::Segment::arena;
    for (unsigned j = i - std::min(i, kLookedBack); j < i && counts; ++j)
      counts =
          role_of(*ports.Get(j)) != PortRole::gradient || ports.Get(j)->tensor() != port.tensor();
    if (counts) bytes += described_tensor(t).bytes();
  }
  return bytes;
}

int model_slice_axis(const format::Parameter& parameter) {
  if (parameter.slice_axis() < 0 || !parameter.model_shape()) return -1;
  // The view may have axes of size 1 that the model's tensor lacks, or the other way round.
  const ParameterTensor t = laid_out(parameter, false);
  int64_t before = 1;
  for (int axis = 0; axis < t.slice_axis; ++axis) before *= t.dims[axis];
  int64_t outer = 1;
  for (unsigned axis = 0; axis < parameter.model_shape()->size(); ++axis) {
    const int64_t dim = parameter.model_shape()->Get(axis);
    if (outer == before && dim == t.dims[t.slice_axis]) return static_cast<int>(axis);
    outer *= dim;
  }
  return -1;
}

}  // namespace attune
