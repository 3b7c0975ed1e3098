#include "engine/format/checkpoint_format.h"

namespace attune::checkpoint {

uint32_t count_tensors(const format::Plan& plan) {
  uint32_t count = 0;
  if (plan.parameters())
    for (const format::Parameter* parameter : *plan.parameters())
      count += static_cast<uint32_t>(tensors_of(*parameter));
  return count;
}

TensorInfo describe_tensor(const format::Parameter& parameter, int number) {
  TensorInfo t{parameter_tensor(parameter, number)};
  const bool sliced = t.slice_axis >= 0;
  t.header.name_bytes = static_cast<uint32_t>(t.name.size());
  t.header.slot_bytes = static_cast<uint32_t>(t.slot.size());
  t.header.dtype = parameter.dtype();
  t.header.rank = parameter.model_shape() ? parameter.model_shape()->size() : 0;
  t.header.slice_channels = sliced ? t.channels : -1;
  if (sliced)
    t.header.slice_hash =
        hash64(std::as_bytes(std::span(t.slice, static_cast<size_t>(t.channels))));
  t.header.bytes = dtype_bytes(t.dtype, static_cast<size_t>(t.trained()));
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
