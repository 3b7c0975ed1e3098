#include "engine/format/checkpoint_format.h"

namespace attune::checkpoint {

std::string_view string_of(const flatbuffers::String* text) {
  return text ? std::string_view(text->c_str(), text->size()) : std::string_view();
}

int tensors_of(const format::Parameter& parameter) {
  return 1 + (parameter.slots() ? static_cast<int>(parameter.slots()->size()) : 0);
}

uint32_t count_tensors(const format::Plan& plan) {
  uint32_t count = 0;
  if (plan.parameters())
    for (const format::Parameter* parameter : *plan.parameters())
      count += static_cast<uint32_t>(tensors_of(*parameter));
  return count;
}

TensorInfo describe_tensor(const format::Parameter& parameter, int number) {
  TensorInfo t;
  t.parameter = &parameter;
  t.name = string_of(parameter.name());
  t.slot = "value";
  t.state_offset = parameter.state_offset();
  const bool is_slot = number > 0;
  if (is_slot) {
    const auto index = static_cast<flatbuffers::uoffset_t>(number - 1);
    t.slot = string_of(parameter.slot_names()->Get(index));
    t.state_offset = parameter.slots()->Get(index);
  }
  const bool sliced = parameter.slice_axis() >= 0;
  const int32_t channels =
      sliced && parameter.slice() ? static_cast<int32_t>(parameter.slice()->size()) : 0;
  t.rank = parameter.shape() ? static_cast<int>(parameter.shape()->size()) : 0;

  // Our axis i is the view's axis perm[i]. An optimizer's tensor is itself as narrow as the slice.
  int64_t stride = 1, elements = 1;
  for (int axis = t.rank - 1; axis >= 0; --axis) {
    const auto index = static_cast<flatbuffers::uoffset_t>(axis);
    const int view_axis =
        parameter.perm() && parameter.perm()->size() > 0 ? parameter.perm()->Get(index) : axis;
    const bool on_slice = sliced && axis == parameter.slice_axis();
    const int64_t dim = parameter.shape()->Get(index);
    t.dims[view_axis] = on_slice ? channels : dim;
    t.stride[view_axis] = stride;
    if (on_slice && !is_slot) {
      t.slice_axis = view_axis;
      t.slice = parameter.slice()->data();
    }
    stride *= on_slice && is_slot ? channels : dim;
    elements *= t.dims[view_axis];
  }

  const DType dtype = static_cast<DType>(parameter.dtype());
  t.element_bytes = dtype_bytes(dtype, 1);
  t.header.name_bytes = static_cast<uint32_t>(t.name.size());
  t.header.slot_bytes = static_cast<uint32_t>(t.slot.size());
  t.header.dtype = parameter.dtype();
  t.header.rank = parameter.model_shape() ? parameter.model_shape()->size() : 0;
  t.header.slice_channels = sliced ? channels : -1;
  if (channels > 0)
    t.header.slice_hash =
        hash64(std::as_bytes(std::span(parameter.slice()->data(), static_cast<size_t>(channels))));
  t.header.bytes = dtype_bytes(dtype, static_cast<size_t>(elements));
  return t;
}

uint64_t tensor_bytes(const format::Plan& plan) {
  uint64_t bytes = 0;
  if (plan.parameters())
    for (const format::Parameter* parameter : *plan.parameters())
      for (int i = 0; i < tensors_of(*parameter); ++i) {
        const TensorHeader h = describe_tensor(*parameter, i).header;
        bytes += sizeof(h) + h.rank * sizeof(int64_t) + h.name_bytes + h.slot_bytes + h.bytes;
      }
  return bytes;
}

void printable(const char* text, size_t length, char* out, size_t out_bytes) {
  size_t at = 0;
  for (; at < length && at + 1 < out_bytes; ++at)
    out[at] = text[at] >= ' ' && text[at] <= '~' ? text[at] : '?';
  out[at] = '\0';
}

}  // namespace attune::checkpoint
